/** Connecting, established connections, servers: what each API gave. */

import { ON } from "./_failure_networks.ts";
import {
  CONNECT,
  DEADLINE,
  denoError,
  type FailureShape,
  fetchConnect,
  fetchFailed,
  NO_HOST,
  nodeError,
  NOT_AVAILABLE,
  REFUSED,
  RESET,
  row,
  socketFailed,
  TIMED_OUT,
  TOO_MANY,
  UNREACHABLE,
} from "./_failure_shapes.ts";

/** The rows, by the number of the scenario. */
export const CONNECTION_ROWS: Readonly<Record<string, readonly FailureShape[]>> = {
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
};
