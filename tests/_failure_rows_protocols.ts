/** TLS, HTTP, WebSocket, datagrams, the machine: what each API gave. */

import { ON } from "./_failure_networks.ts";
import {
  DEADLINE,
  denoError,
  type FailureShape,
  fetchConnect,
  fetchFailed,
  NO_HOST,
  nodeError,
  row,
  socketBroke,
  socketFailed,
} from "./_failure_shapes.ts";

/** The rows, by the number of the scenario. */
export const PROTOCOL_ROWS: Readonly<Record<string, readonly FailureShape[]>> = {
  F62: [
    row(
      "connectTls",
      denoError(
        "InvalidData",
        "invalid peer certificate: certificate expired: verification time 1763704393 (UNIX), but certificate is not valid after 1763617993 (86400 seconds ago)",
      ),
      {},
      "certificate-time tls never no",
    ),
    row(
      "connectTls",
      denoError(
        "InvalidData",
        "invalid peer certificate: certificate not valid yet: verification time 1763704393 (UNIX), but certificate is not valid before 1763790793 (86400 seconds in future)",
      ),
      {},
      "certificate-time tls never no",
    ),
    row(
      "connectTls",
      denoError("InvalidData", "invalid peer certificate: Expired"),
      {},
      "certificate-time tls never no",
    ),
    row("fetch", fetchConnect("invalid peer certificate: Expired"), {}, "certificate-time tls never no"),
    row(
      "node:tls",
      Object.assign(new Error("certificate has expired"), { code: "CERT_HAS_EXPIRED" }),
      {},
      "certificate-time tls never no",
    ),
    row(
      "server's side",
      denoError("InvalidData", "received fatal alert: CertificateExpired"),
      {},
      "certificate-time tls never no",
    ),
  ],
  F63: [
    row(
      "connectTls",
      denoError(
        "InvalidData",
        'invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for DnsName("other.test")',
      ),
      {},
      "certificate-name tls never no",
    ),
    row(
      "node:tls",
      Object.assign(new Error("Hostname/IP does not match certificate's altnames"), {
        code: "ERR_TLS_CERT_ALTNAME_INVALID",
      }),
      {},
      "certificate-name tls never no",
    ),
  ],
  F64: [
    row(
      "connectTls",
      denoError("InvalidData", "invalid peer certificate: UnknownIssuer"),
      {},
      "certificate-issuer tls never no",
    ),
    row(
      "WebSocket",
      socketFailed("invalid peer certificate: UnknownIssuer"),
      {},
      "certificate-issuer tls never no",
    ),
    row(
      "node:tls",
      Object.assign(new Error("unable to verify the first certificate"), {
        code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      }),
      {},
      "certificate-issuer tls never no",
    ),
    row(
      "server's side",
      denoError("InvalidData", "received fatal alert: UnknownCA"),
      {},
      "certificate-issuer tls never no",
    ),
  ],
  F65: [
    row(
      "connectTls",
      denoError("InvalidData", "received corrupt message of type InvalidContentType"),
      {},
      "not-tls tls never no",
    ),
    row(
      "fetch",
      fetchConnect("received corrupt message of type InvalidContentType"),
      {},
      "not-tls tls never no",
    ),
    row(
      "node:tls",
      Object.assign(new Error("(SSL routines:ssl3_get_record:wrong version number)"), {
        code: "ERR_SSL_WRONG_VERSION_NUMBER",
      }),
      {},
      "not-tls tls never no",
    ),
  ],
  F66: [
    row(
      "connectTls",
      denoError("UnexpectedEof", "unexpected end of file"),
      { operation: "handshake" },
      "handshake-cut reset later no",
    ),
    row("connectTls, reset", denoError("ConnectionReset", "connection reset", "ECONNRESET"), {
      operation: "handshake",
    }, "handshake-cut reset later no"),
    row("fetch", fetchConnect("tls handshake eof"), {}, "handshake-cut reset later no"),
    row(
      "fetch, reset",
      fetchConnect("Connection reset by peer (os error 104)", "https://localhost:40447/"),
      {},
      "handshake-cut reset later no",
    ),
    row(
      "WebSocket, reset",
      socketFailed("Connection reset by peer (os error 104)"),
      {},
      "handshake-cut reset later no",
    ),
    row(
      "WebSocket, reset after the request to open",
      socketFailed("connection error"),
      {},
      "handshake-cut reset later no",
    ),
    row(
      "node:tls",
      Object.assign(
        new Error("Client network socket disconnected before secure TLS connection was established"),
        { code: "ECONNRESET" },
      ),
      {},
      "handshake-cut reset later no",
    ),
  ],
  F67: [
    row(
      "TlsConn.read",
      denoError(
        "UnexpectedEof",
        "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual/_03_howto/index.html#unexpected-eof",
      ),
      { operation: "read" },
      "tls-truncated reset later maybe",
    ),
  ],
  F68: [
    row(
      "ready()",
      new Error("a captive portal answers: status 302 instead of 204, to http://login.example/"),
      {},
      "captive-portal protocol after-change yes",
    ),
  ],
  F69: [
    row(
      "fetch",
      fetchFailed(
        "error sending request from 127.0.0.1:51958 for http://127.0.0.1:36083/ (127.0.0.1:36083): client error (SendRequest): connection closed before message completed",
      ),
      {},
      "pooled-connection-closed reset now maybe",
    ),
    row(
      "node:http",
      Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }),
      {},
      "pooled-connection-closed reset now maybe",
    ),
  ],
  F70: [
    row("fetch", new TypeError("error reading a body from connection"), {}, "body-cut reset later yes"),
    row(
      "node:http",
      Object.assign(new Error("aborted"), { code: "ECONNRESET" }),
      {},
      "body-cut reset later yes",
    ),
  ],
  F71: [
    row("own deadline", DEADLINE, { operation: "request" }, "response-stalls timeout later maybe"),
  ],
  F72: [
    row("fetch", new Response(null, { status: 503 }), {}, "overloaded exhausted later yes"),
    row("fetch", new Response(null, { status: 429 }), {}, "overloaded exhausted later yes"),
    row("WebSocket", socketFailed("Invalid status code: 503"), {}, "overloaded exhausted later no"),
  ],
  F73: [
    row(
      "reset",
      socketBroke("Connection reset by peer (os error 104)"),
      {},
      "websocket-lost reset later maybe",
    ),
    row(
      "local abort",
      socketBroke("Software caused connection abort (os error 103)"),
      {},
      "websocket-lost reset later maybe",
    ),
    row("what follows", new CloseEvent("close"), {}, "websocket-lost reset later maybe"),
    row("browsers", new CloseEvent("close", { code: 1006 }), {}, "websocket-lost reset later maybe"),
  ],
  F74: [
    row(
      "a server's own ping",
      new CloseEvent("close", { code: 1001, reason: "No response from ping frame." }),
      {},
      "websocket-half-open timeout later maybe",
    ),
  ],
  F76: [
    row("own deadline", DEADLINE, { operation: "receive" }, "port-unreachable-unseen timeout later maybe"),
  ],
  F77: [
    row(
      "send",
      denoError("Error", "Message too long (os error 90)", "EMSGSIZE"),
      {},
      "datagram-too-long protocol never no",
    ),
    row("node:dgram", nodeError("send EMSGSIZE 127.0.0.1:9", -90), {}, "datagram-too-long protocol never no"),
  ],
  F78: [
    row("send", NO_HOST, { operation: "send" }, "send-fails-for-now unreachable later no"),
    row(
      "send, no way to one target only",
      denoError("NetworkUnreachable", "Network is unreachable (os error 101)", "ENETUNREACH"),
      { operation: "send", network: ON },
      "send-fails-for-now unreachable later no",
    ),
    row(
      "node:dgram",
      nodeError("send UNKNOWN 10.77.0.1:8080", -4094),
      {},
      "send-fails-for-now unreachable later no",
    ),
  ],
  F84: [
    row("send", denoError("Error", "No buffer space available (os error 105)", "ENOBUFS"), {
      operation: "send",
    }, "kernel-table-full exhausted later no"),
  ],
  F86: [
    row(
      "Deno.connect",
      denoError("NotCapable", 'Requires net access to "127.0.0.1:9", run again with the --allow-net flag'),
      {},
      "permission-missing permission never no",
    ),
    row(
      "lookup hides it",
      nodeError("getaddrinfo EPERM x.test", -1),
      {},
      "permission-missing permission never no",
    ),
  ],
};
