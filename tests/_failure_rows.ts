/** The rows of the catalogue that were reproduced, with what each API gave. */

import {
  denoError,
  type FailureShape,
  fetchConnect,
  fetchFailed,
  lookupError,
  nodeError,
  row,
  socketBroke,
  socketFailed,
} from "./_failure_shapes.ts";
import { NO_CARRIER, NO_V6, OFF, ON, SWITCHED_OFF, TENTATIVE, WITH_CONFLICT } from "./_failure_networks.ts";
import type { ClassifyContext } from "../recover/classify.ts";

const CONNECT: ClassifyContext = { operation: "connect" };

// What the runtime's own API throws for the plain codes.
const UNREACHABLE = denoError("NetworkUnreachable", "Network is unreachable (os error 101)", "ENETUNREACH");
const NO_HOST = denoError("Error", "No route to host (os error 113)", "EHOSTUNREACH");
const TIMED_OUT = denoError("TimedOut", "Connection timed out (os error 110)", "ETIMEDOUT");
const REFUSED = denoError("ConnectionRefused", "Connection refused (os error 111)", "ECONNREFUSED");
const RESET = denoError("ConnectionReset", "Connection reset by peer (os error 104)", "ECONNRESET");
const TOO_MANY = denoError("Error", "Too many open files (os error 24)", "EMFILE");
const NOT_AVAILABLE = denoError(
  "AddrNotAvailable",
  "Cannot assign requested address (os error 99)",
  "EADDRNOTAVAIL",
);
const NO_RECORDS = denoError(
  "NotFound",
  'proto error: no records found for Query { name: Name("nx.test."), query_type: A, query_class: IN }',
);
const DEADLINE = new DOMException("The operation was aborted due to timeout", "TimeoutError");

/** All rows, by the number of the scenario. */
export const FAILURE_ROWS: Readonly<Record<string, readonly FailureShape[]>> = {
  F01: [
    row("Deno.connect", UNREACHABLE, CONNECT, "no-default-route offline after-change no"),
    row(
      "node:net",
      nodeError("connect ENETUNREACH 10.9.2.2:8080", -101),
      {},
      "no-default-route offline after-change no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: Network is unreachable (os error 101)"),
      {},
      "no-default-route offline after-change no",
    ),
    row(
      "WebSocket, state known",
      socketFailed("tcp connect error"),
      { network: OFF },
      "no-default-route offline after-change no",
    ),
    row(
      "Deno.DatagramConn.send",
      UNREACHABLE,
      { operation: "send" },
      "no-default-route offline after-change no",
    ),
    row(
      "node:dgram, state known",
      nodeError("send UNKNOWN 10.9.2.2:8080", -4094),
      { network: OFF },
      "no-default-route offline after-change no",
    ),
    row("own deadline, state known", DEADLINE, {
      operation: "connect",
      network: OFF,
    }, "no-default-route offline after-change no"),
  ],
  F02: [
    row(
      "Deno.connect, interface off",
      UNREACHABLE,
      { operation: "connect", network: SWITCHED_OFF },
      "link-down offline after-change no",
    ),
    row(
      "ENETDOWN has no class and no code",
      denoError("Error", "Network is down (os error 100)"),
      CONNECT,
      "link-down offline after-change no",
    ),
  ],
  F03: [
    row(
      "Deno.connect",
      TIMED_OUT,
      { operation: "connect", network: NO_CARRIER },
      "no-carrier offline after-change no",
    ),
    row(
      "Deno.connect",
      NO_HOST,
      { operation: "connect", network: NO_CARRIER },
      "no-carrier offline after-change no",
    ),
  ],
  F04: [UNREACHABLE, NO_HOST, NOT_AVAILABLE].map((error) =>
    row(
      "Deno.connect, IPv6",
      error,
      { operation: "connect", remoteAddress: "fd09:2::2", network: NO_V6 },
      "ipv6-lost-on-flap unreachable after-change no",
    )
  ),
  F05: [
    row("own deadline at a read", DEADLINE, {
      operation: "read",
      localAddress: "10.9.1.2",
      network: { ...ON, interfaces: [{ name: "vc", addresses: [{ address: "10.9.1.77", prefix: 24 }] }] },
    }, "address-gone address-gone now maybe"),
    row("reset", RESET, {
      operation: "read",
      localAddress: "10.9.1.99",
      network: ON,
    }, "address-gone address-gone now maybe"),
    row("own deadline at a read, no network", DEADLINE, {
      operation: "read",
      localAddress: "10.9.1.99",
      network: OFF,
    }, "address-gone address-gone after-change maybe"),
  ],
  F06: [
    row("Deno.listen", NOT_AVAILABLE, {
      operation: "listen",
      localAddress: "fd09:1::33",
      network: TENTATIVE,
    }, "address-tentative address-gone after-change no"),
    row(
      "node:net",
      nodeError("listen EINVAL: invalid argument fd09:1::33", -22),
      { network: TENTATIVE },
      "address-tentative address-gone after-change no",
    ),
  ],
  F07: [
    row("Deno.listen", NOT_AVAILABLE, {
      operation: "listen",
      localAddress: "fd09:1::33",
      network: WITH_CONFLICT,
    }, "address-duplicate address-gone after-change no"),
  ],
  F08: [
    row("Deno.connect", NO_HOST, CONNECT, "gateway-silent unreachable later no"),
    row("Deno.connect, on the link", NO_HOST, {
      operation: "connect",
      remoteAddress: "10.9.1.99",
      network: ON,
      elapsed: 20,
    }, "gateway-silent unreachable later no"),
    row(
      "node:net, 3 s",
      nodeError("connect EHOSTUNREACH 10.9.1.99:8080", -113),
      { elapsed: 3050 },
      "gateway-silent unreachable later no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: No route to host (os error 113)"),
      {},
      "gateway-silent unreachable later no",
    ),
  ],
  F10: [
    row(
      "prohibit",
      denoError("PermissionDenied", "Permission denied (os error 13)", "EACCES"),
      CONNECT,
      "route-prohibited unreachable after-change no",
    ),
    row(
      "prohibit, node:net",
      nodeError("connect EACCES 10.77.0.1:8080", -13),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row(
      "prohibit, fetch",
      fetchConnect("tcp connect error: Permission denied (os error 13)"),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row("prohibit, send", denoError("PermissionDenied", "Permission denied (os error 13)", "EACCES"), {
      operation: "send",
    }, "route-prohibited unreachable after-change no"),
    row(
      "blackhole",
      denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"),
      CONNECT,
      "route-prohibited unreachable after-change no",
    ),
    row(
      "blackhole, fetch",
      fetchConnect("tcp connect error: Invalid argument (os error 22)"),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row("blackhole, send", denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"), {
      operation: "send",
    }, "route-prohibited unreachable after-change no"),
    row("throw", UNREACHABLE, CONNECT, "no-default-route offline after-change no"),
  ],
  F14: [
    row("Deno.connect", denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"), {
      operation: "connect",
      remoteAddress: "fe80::1",
    }, "link-local-without-zone unreachable never no"),
    row(
      "node:net",
      nodeError("connect EINVAL fe80::1:8080", -22),
      {},
      "link-local-without-zone unreachable never no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: Invalid argument (os error 22)", "http://[fe80::1]:8080/"),
      {},
      "link-local-without-zone unreachable never no",
    ),
  ],
  F15: [
    row(
      "joinMulticastV4",
      denoError("Error", "No such device (os error 19)"),
      { operation: "join" },
      "multicast-without-interface unreachable after-change no",
    ),
    row(
      "node:dgram",
      nodeError("addMembership EINVAL", -22),
      {},
      "multicast-without-interface unreachable after-change no",
    ),
  ],
  F16: [
    row("Deno.connect", REFUSED, {}, "port-closed refused later no"),
    row(
      "node:net",
      nodeError("connect ECONNREFUSED 10.9.2.2:8080", -111),
      {},
      "port-closed refused later no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: Connection refused (os error 111)"),
      {},
      "port-closed refused later no",
    ),
    row("WebSocket hides it", socketFailed("tcp connect error"), {}, "- unreachable later no"),
  ],
  F17: [
    row("Deno.connect", TIMED_OUT, CONNECT, "syn-dropped timeout later no"),
    row("node:net", nodeError("connect ETIMEDOUT 10.9.2.2:1005", -110), {}, "syn-dropped timeout later no"),
    row(
      "fetch",
      fetchConnect("tcp connect error: Connection timed out (os error 110)"),
      {},
      "syn-dropped timeout later no",
    ),
    row(
      "WebSocket, 3 s",
      socketFailed("tcp connect error"),
      { elapsed: 3050 },
      "syn-dropped timeout later no",
    ),
  ],
  F18: [
    row(
      "host-unreachable, 20 ms",
      NO_HOST,
      { operation: "connect", elapsed: 20 },
      "firewall-rejects unreachable later no",
    ),
    row(
      "no-route, own route is there",
      UNREACHABLE,
      { operation: "connect", network: ON },
      "firewall-rejects unreachable later no",
    ),
  ],
  F19: [
    row(
      "UDP, dropped or rejected",
      denoError("PermissionDenied", "Operation not permitted (os error 1)", "EPERM"),
      {
        operation: "send",
      },
      "local-firewall permission after-change no",
    ),
  ],
  F23: [
    row("own deadline", DEADLINE, { operation: "handshake" }, "silent-after-accept timeout later no"),
  ],
  F24: [
    row("Deno.connect", NOT_AVAILABLE, CONNECT, "ports-exhausted exhausted later no"),
    row("node:net", nodeError("connect EINVAL 10.9.2.2:8081", -22), {}, "ports-exhausted exhausted later no"),
    row(
      "fetch",
      fetchConnect("tcp connect error: Cannot assign requested address (os error 99)"),
      {},
      "ports-exhausted exhausted later no",
    ),
  ],
  F26: [
    row("Deno.connect", TOO_MANY, CONNECT, "files-exhausted exhausted later no"),
    row("node:net", nodeError("connect EMFILE 127.0.0.1:9", -24), {}, "files-exhausted exhausted later no"),
    row(
      "Deno.resolveDns",
      denoError("Error", "proto error: io error: Too many open files (os error 24)"),
      {},
      "files-exhausted exhausted later no",
    ),
    row(
      "fetch",
      fetchConnect("tcp open error: Too many open files (os error 24)"),
      {},
      "files-exhausted exhausted later no",
    ),
    row("WebSocket", socketFailed("tcp open error"), {}, "files-exhausted exhausted later no"),
    row(
      "Deno.open",
      denoError("Error", "Too many open files (os error 24): open '/dev/null'", "EMFILE"),
      {},
      "files-exhausted exhausted later no",
    ),
  ],
  F27: [
    row("own deadline", DEADLINE, CONNECT, "connect-hangs timeout later no"),
  ],
  F28: [
    row("Deno.Conn.read", RESET, { operation: "read" }, "reset-by-peer reset later maybe"),
    row("node:net", nodeError("read ECONNRESET", -104), {}, "reset-by-peer reset later maybe"),
    row(
      "fetch",
      fetchFailed("Connection reset by peer (os error 104)"),
      {},
      "reset-by-peer reset later maybe",
    ),
  ],
  F29: [
    row(
      "read",
      denoError("ConnectionAborted", "Software caused connection abort (os error 103)", "ECONNABORTED"),
      {
        operation: "read",
      },
      "aborted-locally reset now maybe",
    ),
  ],
  F30: [
    row("Deno.Conn.write", denoError("BrokenPipe", "Broken pipe (os error 32)", "EPIPE"), {
      operation: "write",
    }, "end-without-goodbye reset later maybe"),
  ],
  F32: [
    row("read", TIMED_OUT, { operation: "read" }, "path-lost-sending timeout later maybe"),
  ],
  F33: [
    row("own deadline at a read", DEADLINE, { operation: "read" }, "path-lost-idle timeout later maybe"),
    row(
      "keepalive, nothing was on its way",
      TIMED_OUT,
      { operation: "read", sent: "no" },
      "path-lost-idle timeout later no",
    ),
  ],
  F37: [
    row("own deadline", DEADLINE, { operation: "write" }, "reader-stalled timeout later maybe"),
  ],
  F39: [
    row(
      "upload",
      denoError("BrokenPipe", "Broken pipe (os error 32)", "EPIPE"),
      { operation: "request" },
      "early-reply reset later maybe",
    ),
  ],
  F46: [
    row(
      "Deno.listen",
      denoError("AddrInUse", "Address already in use (os error 98)", "EADDRINUSE"),
      {},
      "address-in-use address-in-use later no",
    ),
    row(
      "node:net",
      nodeError("listen EADDRINUSE: address already in use 127.0.0.1:43675", -98),
      {},
      "address-in-use address-in-use later no",
    ),
    row(
      "node:dgram",
      nodeError("bind EADDRINUSE 127.0.0.1:49712", -98),
      {},
      "address-in-use address-in-use later no",
    ),
  ],
  F47: [
    row(
      "Deno.listen",
      NOT_AVAILABLE,
      { operation: "listen" },
      "listen-address-missing address-gone after-change no",
    ),
    row(
      "Deno.listen",
      NOT_AVAILABLE,
      { operation: "listen", localAddress: "192.0.2.1", network: ON },
      "listen-address-missing address-gone after-change no",
    ),
    row(
      "node:net",
      nodeError("listen EINVAL: invalid argument 192.0.2.1", -22),
      {},
      "listen-address-missing address-gone after-change no",
    ),
    row(
      "node:dgram",
      nodeError("bind EADDRNOTAVAIL 192.0.2.1", -99),
      {},
      "listen-address-missing address-gone after-change no",
    ),
  ],
  F48: [
    row("Deno.listen", denoError("PermissionDenied", "Permission denied (os error 13)", "EACCES"), {
      operation: "listen",
    }, "port-privileged permission never no"),
  ],
  F49: [
    row("accept", TOO_MANY, { operation: "accept" }, "accept-files-exhausted exhausted later no"),
    row(
      "Deno.serve",
      denoError("Http", "Too many open files"),
      {},
      "accept-files-exhausted exhausted later no",
    ),
  ],
  F50: [
    row(
      "connect, no file",
      denoError("NotFound", "No such file or directory (os error 2)", "ENOENT"),
      CONNECT,
      "unix-socket-stale refused later no",
    ),
    row(
      "node:net, no file",
      nodeError("connect ENOENT /tmp/none.sock", -2),
      {},
      "unix-socket-stale refused later no",
    ),
    row("connect, no owner", REFUSED, { remoteAddress: "/run/a.sock" }, "unix-socket-stale refused later no"),
    row("listen", denoError("AddrInUse", "Address already in use (os error 98)", "EADDRINUSE"), {
      operation: "listen",
      localAddress: "/run/a.sock",
    }, "unix-socket-stale refused later no"),
  ],
  F51: [
    row("own deadline", DEADLINE, {
      operation: "accept",
      localAddress: "10.9.1.99",
      network: ON,
    }, "listener-address-gone address-gone after-change no"),
  ],
  F53: [
    row("Deno.connect", lookupError("Name or service not known"), {}, "name-unknown dns after-change no"),
    row("lookup", nodeError("getaddrinfo ENOTFOUND nx.test", -3008), {}, "name-unknown dns after-change no"),
    row(
      "fetch",
      fetchConnect("dns error: failed to lookup address information: Name or service not known"),
      {},
      "name-unknown dns after-change no",
    ),
    row("resolveDns hides it", NO_RECORDS, {}, "name-unknown dns later no"),
    row("resolve4 hides it", nodeError("queryA ENOTFOUND nx.test", -3007), {}, "name-unknown dns later no"),
    row("WebSocket hides it", socketFailed("dns error"), {}, "name-unknown dns later no"),
  ],
  F54: [
    row(
      "Deno.connect",
      lookupError("Temporary failure in name resolution"),
      { elapsed: 3 },
      "resolver-failure dns later no",
    ),
    row(
      "lookup",
      nodeError("getaddrinfo EAI_AGAIN servfail.test", -3001),
      { elapsed: 4 },
      "resolver-failure dns later no",
    ),
    row(
      "fetch",
      fetchConnect("dns error: failed to lookup address information: Temporary failure in name resolution"),
      {},
      "resolver-failure dns later no",
    ),
  ],
  F55: [
    row(
      "Deno.connect",
      lookupError("No address associated with hostname"),
      {},
      "name-without-address dns after-change no",
    ),
    row(
      "lookup",
      nodeError("getaddrinfo ENOTFOUND empty.test", -3007),
      {},
      "name-without-address dns after-change no",
    ),
  ],
  F56: [
    row(
      "Deno.connect, 10 s",
      lookupError("Temporary failure in name resolution"),
      { elapsed: 10_009 },
      "resolver-silent dns later no",
    ),
    row(
      "lookup, 10 s",
      nodeError("getaddrinfo EAI_AGAIN drop.test", -3001),
      { elapsed: 10_009 },
      "resolver-silent dns later no",
    ),
    row(
      "Deno.resolveDns",
      denoError("TimedOut", "proto error: request timed out"),
      {},
      "resolver-silent dns later no",
    ),
    row("resolve4", nodeError("queryA ETIMEOUT drop.test"), {}, "resolver-silent dns later no"),
    row("WebSocket, 10 s", socketFailed("dns error"), { elapsed: 10_009 }, "resolver-silent dns later no"),
    row("own deadline", DEADLINE, { operation: "resolve" }, "resolver-silent dns later no"),
  ],
  F58: [
    row(
      "Deno.resolveDns, no route",
      denoError("Error", "proto error: io error: Network is unreachable (os error 101)"),
      {},
      "resolver-unreachable offline after-change no",
    ),
    row(
      "Deno.connect, no route",
      lookupError("Temporary failure in name resolution"),
      { network: OFF },
      "resolver-unreachable offline after-change no",
    ),
    row("resolve4", nodeError("queryA UNKNOWN nx.test", -4094), {}, "resolver-unreachable dns later no"),
    row(
      "Deno.resolveDns, no server",
      denoError("Error", "proto error: io error: no nameservers found in config"),
      {},
      "resolver-unreachable dns later no",
    ),
  ],
  F59: [
    row("Deno.connect", REFUSED, { remoteAddress: "0.0.0.0" }, "name-sinkholed refused after-change no"),
  ],
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
