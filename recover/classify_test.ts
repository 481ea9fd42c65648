import { assertEquals, assertStrictEquals } from "@std/assert";
import { HoldfastError, PermissionError, ToolMissingError } from "../internal/errors.ts";
import { FAILURE_ROWS } from "../tests/_failure_rows.ts";
import { OFF, ON } from "../tests/_failure_networks.ts";
import { denoError, fetchConnect, nodeError, socketFailed } from "../tests/_failure_shapes.ts";
import { classify, type ClassifyContext, classifyText } from "./classify.ts";
import type { Failure } from "./failure.ts";
import { SCENARIO_IDS } from "./scenarios/ids.ts";

const show = ({ scenario, kind, retry, sent }: Failure): string =>
  `${scenario ?? "-"} ${kind} ${retry} ${sent}`;

/** On Linux unless told otherwise, whatever this machine is. */
function known(error: unknown, context: ClassifyContext = {}): string {
  return show(classify(error, { os: "linux", ...context }));
}

for (const [number, shapes] of Object.entries(FAILURE_ROWS)) {
  Deno.test(`classify() knows ${number} (${SCENARIO_IDS[Number(number.slice(1)) - 1]}) by every shape recorded of it`, () => {
    for (const { from, error, context, expected } of shapes) {
      assertEquals(known(error, context), expected, from);
    }
  });
}

Deno.test("classify() gives the true code where the runtime gave none or another", () => {
  const code = (error: unknown, context: ClassifyContext = {}): string | null =>
    classify(error, { os: "linux", ...context }).code;
  assertEquals(code(fetchConnect("tcp connect error: Connection refused (os error 111)")), "ECONNREFUSED");
  assertEquals(code(nodeError("connect EINVAL 10.9.2.2:8081", -22)), "EADDRNOTAVAIL");
  assertEquals(code(nodeError("listen EINVAL: invalid argument 192.0.2.1", -22)), "EADDRNOTAVAIL");
  assertEquals(code(denoError("Error", "Host is down (os error 112)")), "EHOSTDOWN");
  assertEquals(code(denoError("Error", "Host is down (os error 64)"), { os: "darwin" }), "EHOSTDOWN");
  assertEquals(code(new Error("nothing known")), null);
});

Deno.test("classify() knows errors by the names of their classes, which are those of other realms too", () => {
  for (
    const name of ["ConnectionRefused", "ConnectionReset", "TimedOut", "AddrInUse", "BrokenPipe"] as const
  ) {
    const own = new Deno.errors[name]("no text that tells");
    const foreign = { name, message: "no text that tells" };
    assertEquals(known(own), known(foreign));
    assertEquals(known(own).startsWith("-"), false, name);
  }
});

Deno.test("classify() reads the number of the system that it comes from", () => {
  // 64 is EHOSTDOWN on macOS, ERROR_NETNAME_DELETED on Windows.
  const error = new Error("something failed (os error 64)");
  assertEquals(known(error, { os: "darwin", operation: "read" }), "gateway-silent unreachable later maybe");
  assertEquals(known(error, { os: "windows", operation: "read" }), "reset-by-peer reset later maybe");
});

Deno.test("classify() knows what node:net hides on Windows", () => {
  const error = nodeError("connect EINVAL 10.9.2.2:8080", -4071);
  assertEquals(known(error, { os: "windows" }), "- unreachable later no");
  assertEquals(known(error, { os: "windows", network: OFF }), "no-default-route offline after-change no");
  const missing = nodeError("listen EINVAL: invalid argument 192.0.2.1", -4071);
  assertEquals(known(missing, { os: "windows" }), "listen-address-missing address-gone after-change no");
});

Deno.test("classify() knows what Winsock means by codes that mean something else on Linux", () => {
  const os = "windows";
  const denied = denoError("PermissionDenied", "forbidden (os error 10013)", "EACCES");
  assertEquals(known(denied, { os, operation: "connect" }), "local-firewall permission after-change no");
  const buffers = new Error("lacked sufficient buffer space (os error 10055)");
  assertEquals(known(buffers, { os, operation: "connect" }), "ports-exhausted exhausted later no");
  const reset = denoError("ConnectionReset", "forcibly closed (os error 10054)", "ECONNRESET");
  assertEquals(known(reset, { os, operation: "receive" }), "port-unreachable-unseen refused now maybe");
  const name = denoError("NotFound", "No such host is known. (os error 11001)", "ENOENT");
  assertEquals(known(name, { os, operation: "connect" }), "name-unknown dns after-change no");
});

Deno.test("classify() lets the error's own call count before its caller's word, where that is more exact", () => {
  const refused = nodeError("connect ETIMEDOUT 10.9.2.2:80", -110);
  assertEquals(known(refused, { operation: "request" }), "syn-dropped timeout later no");
  assertEquals(
    known(nodeError("read ECONNRESET", -104), { operation: "request" }),
    "reset-by-peer reset later maybe",
  );
  assertEquals(
    known(nodeError("read ECONNRESET", -104), { operation: "handshake" }),
    "handshake-cut reset later no",
  );
});

Deno.test("classify() takes the caller's word for what was sent", () => {
  const reset = denoError("ConnectionReset", "Connection reset by peer (os error 104)", "ECONNRESET");
  assertEquals(classify(reset).sent, "maybe");
  assertEquals(classify(reset, { sent: "no" }).sent, "no");
  assertEquals(classify(reset, { sent: "yes" }).sent, "yes");
});

Deno.test("classify() says that nothing was sent only where nothing can have been", () => {
  const plain = denoError("NetworkUnreachable", "Network is unreachable (os error 101)", "ENETUNREACH");
  // An established connection gives the same error for data that was sent before.
  assertEquals(classify(plain).sent, "maybe");
  assertEquals(classify(plain, { operation: "read" }).sent, "maybe");
  assertEquals(classify(plain, { operation: "connect" }).sent, "no");
  assertEquals(classify(plain, { operation: "send" }).sent, "no");
  assertEquals(classify(new DOMException("late", "TimeoutError"), { operation: "send" }).sent, "maybe");
  assertEquals(classify(fetchConnect("tls handshake eof")).sent, "no");
  assertEquals(classify(new TypeError("fetch failed")).sent, "maybe");
});

Deno.test("classify() knows what a program called off itself", () => {
  const shapes = [
    new DOMException("The signal has been aborted", "AbortError"),
    denoError("Interrupted", "operation canceled", "EINTR"),
    denoError("BadResource", "Bad resource ID"),
    denoError("BadResource", "Listener has been closed"),
    Object.assign(new Error("The operation was aborted"), { code: "ABORT_ERR" }),
    new HoldfastError("Cannot wait: closed", { code: "closed", operation: "wait" }),
  ];
  for (const error of shapes) {
    assertEquals(known(error, { network: OFF }), "- cancelled never maybe", error.message);
  }
});

Deno.test("classify() knows the errors of this package", () => {
  const permission = classify(new PermissionError("connect", ["--allow-net=example.com"]));
  assertEquals(show(permission), "permission-missing permission never no");
  assertEquals(permission.hint, "Run again with --allow-net=example.com");
  const tool = classify(new ToolMissingError("read routes", "ip", "Install the package iproute2"));
  assertEquals([tool.where, tool.retry, tool.hint], ["config", "never", "Install the package iproute2"]);
  const wrapped = new HoldfastError("Cannot ask: it failed", {
    code: "system",
    operation: "ask",
    cause: denoError("ConnectionRefused", "Connection refused (os error 111)", "ECONNREFUSED"),
  });
  assertEquals(known(wrapped), "port-closed refused later no");
});

Deno.test("classify() gives the failure that an error carries, also from below", () => {
  const failure = classify(new Response(null, { status: 503 }));
  class DialError extends HoldfastError {
    readonly failure = failure;
  }
  const error = new DialError("Cannot dial: refused", { code: "dial", operation: "dial" });
  assertStrictEquals(classify(error), failure);
  assertStrictEquals(classify(new Error("Cannot start", { cause: error })), failure);
  const forged = Object.assign(new Error("x"), { failure: { kind: 1, retry: {} } });
  assertEquals(classify(forged).kind, "unknown");
});

Deno.test("classify() names the flag that the runtime's message names", () => {
  const error = denoError("NotCapable", 'Requires net access to "a:1", run again with the --allow-net flag');
  assertEquals(classify(error).hint, "Run again with --allow-net");
});

Deno.test("classify() takes the most hopeful of several errors, and the least certain of what was sent", () => {
  const refused = nodeError("connect ECONNREFUSED 10.9.2.2:80", -111);
  const unreachable = nodeError("connect ENETUNREACH fd09:2::2:80", -101);
  assertEquals(known(new AggregateError([unreachable, refused])), "port-closed refused later no");
  assertEquals(known(new AggregateError([refused, unreachable])), "port-closed refused later no");
  const certificate = denoError("InvalidData", "invalid peer certificate: UnknownIssuer");
  assertEquals(known(new AggregateError([certificate, refused])), "port-closed refused later no");
  const reset = denoError("ConnectionReset", "Connection reset by peer (os error 104)", "ECONNRESET");
  assertEquals(known(new AggregateError([refused, reset])), "port-closed refused later maybe");
  const cancelled = new DOMException("no more", "AbortError");
  assertEquals(known(new AggregateError([cancelled, certificate])), "certificate-issuer tls never maybe");
  assertEquals(known(new AggregateError([cancelled])), "- cancelled never maybe");
  assertEquals(known(new AggregateError([new AggregateError([refused])])), "port-closed refused later no");
  const error = new AggregateError([refused]);
  assertStrictEquals(classify(error).error, error);
});

Deno.test("classify() looks below causes, and below what `using` wraps", () => {
  const refused = denoError("ConnectionRefused", "Connection refused (os error 111)", "ECONNREFUSED");
  assertEquals(
    known(new Error("a", { cause: new Error("b", { cause: refused }) })),
    "port-closed refused later no",
  );
  assertEquals(known(new SuppressedError(new Error("at close"), refused)), "port-closed refused later no");
  const round = new Error("round");
  round.cause = round;
  assertEquals(known(round), "- unknown later maybe");
});

Deno.test("classify() does not take a program's mistake for the network's", () => {
  assertEquals(known(new TypeError("undefined is not a function")), "- unknown never maybe");
  assertEquals(known(new RangeError("Invalid port (out of range): 70000")), "- unknown never maybe");
  assertEquals(known(new TypeError("Fetch failed: Requests to port 9 are blocked")), "- unknown never maybe");
  for (
    const text of ["permission denied for table users", "the session has expired", "no such device known"]
  ) {
    assertEquals(known(new Error(text)), "- unknown later maybe", text);
  }
});

Deno.test("classify() finds the cause of a time limit in the state of the network", () => {
  const late = new DOMException("late", "TimeoutError");
  assertEquals(known(late, { network: OFF }), "no-default-route offline after-change maybe");
  assertEquals(known(late, { network: OFF, remoteAddress: "127.0.0.1" }), "- timeout later maybe");
  assertEquals(known(late, { network: ON }), "- timeout later maybe");
  const here: ClassifyContext = { operation: "read", localAddress: "10.9.1.2", network: ON };
  assertEquals(known(late, here), "path-lost-idle timeout later maybe");
  assertEquals(known(late, { ...here, localAddress: "fe80::1%vc" }), "address-gone address-gone now maybe");
  // What is listened on everywhere, and what never leaves the machine, cannot be gone.
  for (const localAddress of ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"]) {
    assertEquals(known(late, { ...here, localAddress }), "path-lost-idle timeout later maybe");
  }
});

Deno.test("classify() leaves what the network did not cause as it is, also while there is none", () => {
  const refused = denoError("ConnectionRefused", "Connection refused (os error 111)", "ECONNREFUSED");
  const certificate = denoError("InvalidData", "invalid peer certificate: UnknownIssuer");
  assertEquals(known(refused, { network: OFF }), "port-closed refused later no");
  assertEquals(known(certificate, { network: OFF }), "certificate-issuer tls never no");
  assertEquals(known(new Response(null, { status: 500 }), { network: OFF }), "- protocol later yes");
});

Deno.test("classify() knows what browsers say", () => {
  assertEquals(known(new TypeError("Failed to fetch")), "- unreachable later maybe");
  assertEquals(
    known(new TypeError("Failed to fetch"), { network: OFF }),
    "no-default-route offline after-change maybe",
  );
  assertEquals(known(new TypeError("Load failed")), "- unreachable later maybe");
  assertEquals(
    known(new TypeError("NetworkError when attempting to fetch resource.")),
    "- unreachable later maybe",
  );
  const error = new Event("error");
  Object.defineProperty(error, "target", { value: { url: "wss://example.com/" } });
  assertEquals(known(error), "websocket-lost reset later maybe");
});

Deno.test("classify() knows what a WebSocket that did not open hides, as far as the network tells", () => {
  const error = socketFailed("dns error");
  assertEquals(known(error, { network: OFF }), "resolver-unreachable offline after-change no");
  assertEquals(known(socketFailed("Invalid status code: 407")), "proxy-refuses permission never no");
});

const PASTED: readonly (readonly [text: string, scenario: string | null])[] = [
  ["connect ECONNREFUSED 127.0.0.1:80", "port-closed"],
  [
    "Error: connect ECONNREFUSED 127.0.0.1:80\n    at TCPConnectWrap.afterConnect (node:net:1:1)",
    "port-closed",
  ],
  [
    "error sending request for url (http://a/): client error (Connect): tcp connect error: Connection refused (os error 111)",
    "port-closed",
  ],
  ["Connection refused (os error 61)", "port-closed"],
  ["ConnectionRefused", "port-closed"],
  ["10061", "port-closed"],
  ["WSAECONNREFUSED", "port-closed"],
  [
    "No connection could be made because the target machine actively refused it. (os error 10061)",
    "port-closed",
  ],
  ["[Errno 111] Connection refused", "port-closed"],
  ["net::ERR_CONNECTION_REFUSED", "port-closed"],
  ["ECONNRESET", "reset-by-peer"],
  ["Uncaught (in promise) ConnectionReset: Connection reset by peer (os error 104)", "reset-by-peer"],
  ["An existing connection was forcibly closed by the remote host. (os error 10054)", "reset-by-peer"],
  ["Host is down (os error 64)", "gateway-silent"],
  ["The specified network name is no longer available. (os error 64)", "reset-by-peer"],
  ["ENOTFOUND", "name-unknown"],
  ["getaddrinfo ENOTFOUND nx.test", "name-unknown"],
  ["getaddrinfo EAI_AGAIN nx.test", "resolver-failure"],
  ["WSATRY_AGAIN", "resolver-failure"],
  ["No such host is known. (os error 11001)", "name-unknown"],
  ['NotFound: proto error: no records found for Query { name: Name("nx.test.") }', "name-unknown"],
  ["nodename nor servname provided, or not known", "name-unknown"],
  ["Network is unreachable (os error 101)", "no-default-route"],
  ["net::ERR_INTERNET_DISCONNECTED", "no-default-route"],
  ["connect EINVAL 10.9.2.2:8081", "ports-exhausted"],
  ["connect EINVAL fe80::1:8080", "link-local-without-zone"],
  ["listen EINVAL: invalid argument 192.0.2.1", "listen-address-missing"],
  ["listen EADDRINUSE: address already in use :::8080", "address-in-use"],
  ["connect ENOENT /run/a.sock", "unix-socket-stale"],
  ["connect ECONNREFUSED /run/a.sock", "unix-socket-stale"],
  ["send UNKNOWN 10.9.2.2:2001", "send-fails-for-now"],
  ["Http: Too many open files", "accept-files-exhausted"],
  ["EMFILE", "files-exhausted"],
  ["Permission denied (os error 13)", "route-prohibited"],
  ["TypeError: error reading a body from connection", "body-cut"],
  ["connection closed before message completed", "pooled-connection-closed"],
  ["InvalidData: invalid peer certificate: UnknownIssuer", "certificate-issuer"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "certificate-issuer"],
  ["received corrupt message of type InvalidContentType", "not-tls"],
  ["HTTP/1.1 503 Service Unavailable", "overloaded"],
  ["429 Too Many Requests", "overloaded"],
  ["Request failed with status code 502", "proxy-refuses"],
  ["511", "captive-portal"],
  ["1006", "websocket-lost"],
  ["WebSocket closed with code: 1006", "websocket-lost"],
  ['NotCapable: Requires net access to "a:1", run again with the --allow-net flag', "permission-missing"],
  ["TimeoutError: Signal timed out.", null],
  ["good morning", null],
  ["", null],
  ["error: Uncaught (in promise) Http: Too many open files (os error 24)", "accept-files-exhausted"],
  [
    "error: Uncaught (in promise) Error: Too many open files (os error 24)\n" +
    "    at async Listener.accept (ext:deno_net/01_net.js:1:4188)",
    "accept-files-exhausted",
  ],
  ["Error: Too many open files (os error 24)", "files-exhausted"],
  ["WebSocket closed: 1006", "websocket-lost"],
];

Deno.test("classifyText() knows what a person pastes, on every system", () => {
  for (const [text, scenario] of PASTED) {
    const failure = classifyText(text);
    assertEquals(failure.scenario, scenario, text);
    assertStrictEquals(failure.error, text);
  }
});

Deno.test("classifyText() lets numbers count before words where the system is given", () => {
  assertEquals(classifyText("64", "darwin").code, "EHOSTDOWN");
  assertEquals(classifyText("64", "windows").code, "ECONNRESET");
  assertEquals(classifyText("os error 10060", "windows").scenario, "syn-dropped");
});
