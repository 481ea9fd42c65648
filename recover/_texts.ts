/** What the texts of systems, runtimes and libraries say, as data. */

import type { VerdictName } from "./_verdicts.ts";
import type { FailureOperation } from "./failure.ts";

/** Longest text that is looked at, in characters: more would only cost time. */
export const MAX_TEXT = 8192;

/** Texts that say more than the code beside them. */
export const EXACT_TEXTS: readonly (readonly [RegExp, VerdictName])[] = [
  // TLS: rustls and webpki, OpenSSL's words in node:tls.
  [
    /certificate(:| has)? expired|(alert|certificate): (Certificate)?Expired|certificate is not yet valid/i,
    "certificate-time",
  ],
  [/certificate not valid yet|NotValidYet/, "certificate-time"],
  [/certificate not valid for|NotValidForName|does not match certificate/i, "certificate-name"],
  [
    /UnknownIssuer|UnknownCA\b|unable to (verify the first|get (local )?issuer) certificate|self[- ]signed certificate/i,
    "certificate-issuer",
  ],
  [/InvalidContentType|wrong version number|plain HTTP request was sent to HTTPS/i, "not-tls"],
  [/without sending TLS close_notify/, "tls-truncated"],
  [/tls handshake eof|disconnected before secure TLS connection/i, "handshake-cut"],
  [/invalid peer certificate|fatal alert: (BadCertificate|CertificateRevoked)/, "certificate-bad"],
  [
    /received fatal alert|received corrupt message|peer is incompatible|peer misbehaved|no process-level CryptoProvider/,
    "tls-failed",
  ],
  // The readiness gate's own words.
  [/\bcaptive portal answers\b/, "captive-portal"],
  // HTTP: hyper, node:http, undici.
  [
    /connection closed before message completed|socket hang up|other side closed/i,
    "pooled-connection-closed",
  ],
  [/connection was not ready|\(SendRequest\): operation was canceled/, "pooled-connection-unsent"],
  [/error reading a body from connection|^aborted$/, "body-cut"],
  [
    /invalid HTTP version parsed|invalid HTTP header parsed|invalid HTTP status-code parsed|^Parse Error: /,
    "bad-answer",
  ],
  [/proxy authentication required/i, "proxy-wants-login"],
  [/unsuccessful tunnel|unexpected eof while tunneling|proxy headers too long/, "proxy-refuses"],
  // WebSocket.
  [/tcp open error$/, "files-exhausted"],
  [/failed to connect to WebSocket: tcp connect error$/, "refused-unseen"],
  [/failed to connect to WebSocket: connection error$/, "handshake-cut"],
  [/Didn't receive h2 alpn/, "bad-answer"],
  [/No response from ping frame/, "websocket-half-open"],
  // The runtime's resolver gives the same class and text for every empty answer.
  [/no records? found for query/i, "name-unknown-perhaps"],
  [/no nameservers found in config/, "resolver-unreachable"],
  // Old runtimes had no class of its own for this.
  [/Requires \w+ access to\b/, "permission-missing"],
  [
    /Requests to port \d+ are blocked|Url scheme '.*' not supported|Invalid port \(out of range\)/,
    "invalid-argument",
  ],
];

/** Texts that stand for a code: strerror(3) and gai_strerror(3) of glibc, musl and macOS, and Windows' messages. */
export const CODE_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/connection refused|actively refused it/i, "ECONNREFUSED"],
  [/connection reset|forcibly closed by the remote host|network name is no longer available/i, "ECONNRESET"],
  [/caused connection abort|connection was aborted by the software/i, "ECONNABORTED"],
  [/broken pipe|pipe is being closed|no process is on the other end/i, "EPIPE"],
  [/dropped (its )?connection on reset|connection has been broken due to keep-alive/i, "ENETRESET"],
  [/(socket|endpoint) is not connected/i, "ENOTCONN"],
  [
    /(connection|operation) timed out|did not properly respond after a period|semaphore timeout/i,
    "ETIMEDOUT",
  ],
  [/network is unreachable|unreachable network|network location cannot be reached/i, "ENETUNREACH"],
  [/network is down|encountered a dead network/i, "ENETDOWN"],
  [/no route to host|host is unreachable|unreachable host/i, "EHOSTUNREACH"],
  [/host is down|destination host was down/i, "EHOSTDOWN"],
  [/assign requested address|address not available|not valid in its context/i, "EADDRNOTAVAIL"],
  [/address (is )?already in use|only one usage of each socket address/i, "EADDRINUSE"],
  [/too many open files in system|file table overflow/i, "ENFILE"],
  [/too many open (files|sockets)|no file descriptors available/i, "EMFILE"],
  [/no buffer space available|lacked sufficient buffer space/i, "ENOBUFS"],
  [/message (too|is too) (long|large)|datagram socket was larger/i, "EMSGSIZE"],
  [/address family not supported|incompatible with the requested protocol/i, "EAFNOSUPPORT"],
  [
    /name or service not known|nodename nor servname|no such host is known|name does not resolve/i,
    "ENOTFOUND",
  ],
  [/temporary failure in name resolution|temporary error during hostname resolution/i, "EAI_AGAIN"],
  [/non-recoverable (failure|error)/i, "EAI_FAIL"],
  [/no address associated with|no data of the requested type|has no usable address/i, "ENODATA"],
  [/proto error: request timed out/, "ETIMEOUT"],
  [/unexpected end of file|unexpected eof/i, "EOF"],
];

/** Texts of that kind that other failures have too: only what a person asks about is held against them. */
export const BROAD_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/permission denied|forbidden by its access permissions/i, "EACCES"],
  [/operation not permitted|access is denied/i, "EPERM"],
  [/cannot allocate memory|out of memory|not enough (memory|space)/i, "ENOMEM"],
  [/no such device|operation not supported by device/i, "ENODEV"],
  [/temporarily unavailable|would block|could not be completed immediately/i, "EAGAIN"],
  [/invalid argument/i, "EINVAL"],
  [/no such file or directory|cannot find the (file|path) specified/i, "ENOENT"],
];

/** Texts that say little, looked at last. */
export const VAGUE_TEXTS: readonly (readonly [RegExp, VerdictName])[] = [
  [/dns error/, "name-unknown-perhaps"],
  [/operation cancell?ed|The (signal has been|operation was) aborted/i, "cancelled"],
  [/timed? ?out\b/i, "timed-out"],
  [
    /failed to fetch|fetch failed|load failed|NetworkError when attempting|error sending request/i,
    "fetch-failed",
  ],
];

/** What was being done, as texts tell it; the first that fits counts. */
export const PHASE_TEXTS: readonly (readonly [RegExp, FailureOperation])[] = [
  [/dns error|failed to lookup address|proto error: /, "resolve"],
  [/tcp (connect|open|bind) error|tcp bind local error/, "connect"],
  [/client error \(Connect\)|failed to connect to WebSocket/, "handshake"],
  [/client error \(SendRequest\)|^fetch failed$/, "request"],
  // What ends `Deno.serve`, whose class is `Http`.
  [/\bHttp: Too many open files/, "accept"],
  // A pasted stack trace: "at Object.listen (ext:deno_net/01_net.js:1:7011)".
  [/\bat (?:async )?(?:\w+\.)?listen\w* \(ext:deno_net\//, "listen"],
  [/\bat (?:async )?(?:\w+\.)?accept \(ext:deno_net\//, "accept"],
];

/** System calls, as node's errors name them. */
export const SYSCALLS: Readonly<Record<string, FailureOperation>> = {
  getaddrinfo: "resolve",
  connect: "connect",
  listen: "listen",
  bind: "listen",
  accept: "accept",
  read: "read",
  write: "write",
  send: "send",
  recvmsg: "receive",
  addMembership: "join",
  addSourceSpecificMembership: "join",
};

/** What was being done, as the name of a system call tells it. `queryA` and its like are those of node:dns. */
export function operationOfSyscall(syscall: string): FailureOperation | undefined {
  if (/^query[A-Z]/.test(syscall)) return "resolve";
  return Object.hasOwn(SYSCALLS, syscall) ? SYSCALLS[syscall] : undefined;
}
