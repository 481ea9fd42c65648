/** Failures while a connection is made. */

import type { ScenarioText } from "./scenario.ts";

/** Failures while a connection is made. */
export const connecting: readonly ScenarioText[] = [
  {
    id: "port-closed",
    title: "Nothing listens on that port",
    symptom:
      '"Connection refused", ECONNREFUSED (os error 111 on Linux, 61 on macOS, 10061 on Windows), after one round trip; ' +
      "on Windows after about 2 s, because it asks again.",
    cause: "The host is there and said no: the service is not running, still starting, or on another port.",
    detection: "The code. A refusal within one round trip means that network and host work.",
    remedy:
      "Check the port, then retry with back-off: retry(). A breaker() spares a service that stays away.",
    code: `import { breaker, compose, retry } from "@holdfast/net/recover";

// Tries again with growing pauses, and leaves a service alone that stays away.
const policy = compose(retry({ operation: "connect", maxAttempts: 5 }), breaker());

function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: ["ECONNREFUSED", "Connection refused", "ConnectionRefused", "actively refused"],
    proof: "provoked",
  },
  {
    id: "syn-dropped",
    title: "A firewall swallows the attempt",
    symptom:
      'Connecting hangs, then "Connection timed out", ETIMEDOUT (os error 110 on Linux, 60 on macOS, 10060 on Windows): ' +
      "after about 130 s on Linux, 75 s on macOS, 21 s on Windows.",
    cause:
      "Somebody on the way, or the host's firewall, drops packets without an answer. A host that is off looks the same.",
    detection: "Silence on one port while another port of the same host answers.",
    remedy:
      "Do not wait that long: bound each attempt to 5 or 10 s by timeout(), or let dial() do it, which also tries the " +
      "other addresses meanwhile.",
    code: `import { compose, retry, timeout } from "@holdfast/net/recover";

// 5 s per attempt in place of the system's 21 to 130 s.
const policy = compose(retry({ operation: "connect", maxAttempts: 3 }), timeout(5000));

function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: [
      "ETIMEDOUT",
      "Connection timed out",
      "TimedOut",
      "connect timed out",
      "did not properly respond",
      "Operation timed out",
    ],
    proof: "provoked",
  },
  {
    id: "firewall-rejects",
    title: "A firewall says no",
    symptom:
      'EHOSTUNREACH, "No route to host", within milliseconds (not after 3 s); or ENETUNREACH, or ECONNREFUSED, depending ' +
      "on how the firewall answers. Now and then one attempt takes a second.",
    cause:
      "A firewall answers by ICMP (administratively prohibited, host or network unreachable) or by a TCP reset.",
    detection:
      "The error comes at once, although route and gateway are fine. ICMP answers are limited in rate: hence the second.",
    remedy:
      "Another address of the same service may be open: dial() tries them all and keeps what each said. Otherwise the " +
      "firewall's owner has to act.",
    code: `import { dial, DialError } from "@holdfast/net/recover";

// Tries all addresses of the name, and tells what each of them said.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  try {
    return (await dial({ hostname, port })).conn;
  } catch (error) {
    if (error instanceof DialError) console.error(error.attempts);
    throw error;
  }
}`,
    searchTerms: [
      "EHOSTUNREACH",
      "No route to host",
      "administratively prohibited",
      "ENETUNREACH",
      "ECONNREFUSED",
    ],
    proof: "provoked",
  },
  {
    id: "local-firewall",
    title: "This machine's own firewall is in the way",
    symptom:
      'Sending UDP fails with EPERM, "Operation not permitted" (PermissionDenied), without any permission of the runtime ' +
      "missing. TCP hangs until ETIMEDOUT, or is refused at once.",
    cause: "A rule for outgoing traffic on this machine drops or rejects it.",
    detection:
      "EPERM from send is always local. A full connection-tracking table gives the same code: see kernel-table-full.",
    remedy:
      "Tell the user which rule to add; a retry cannot succeed before that. classify() says retry after-change, and wake() " +
      "of retry() goes on.",
    code: `import { classify } from "@holdfast/net/recover";

async function send(socket: Deno.DatagramConn, bytes: Uint8Array, to: Deno.NetAddr): Promise<void> {
  try {
    await socket.send(bytes, to);
  } catch (error) {
    const failure = classify(error, { operation: "send" });
    if (failure.code === "EPERM") console.error("A firewall on this machine:", failure.hint);
    throw error;
  }
}`,
    searchTerms: ["EPERM", "Operation not permitted", "outgoing traffic blocked", "Windows Firewall"],
    proof: "provoked",
  },
  {
    id: "accept-queue-full",
    title: "The server does not keep up with accepting",
    symptom: "Some attempts connect at once, others take 1, 3 or 7 s, or time out. No error on the server.",
    cause: "The queue of finished connections is full, because the program does not accept them fast enough.",
    detection: "Connect times cluster near 1.0 s and 3.0 s; ListenOverflows grows on the server (nstat -az).",
    remedy:
      "Server: accept at once, work later, shed what is too much: acceptLoop() with a cap. Client: do not give up before 3 s.",
    code: `import { acceptLoop } from "@holdfast/net/recover";

// Takes connections at once, a thousand of them at most; what is too much is shed, and not left to wait.
async function run(answer: (connection: Deno.TcpConn) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ port: 8080, tcpBacklog: 1024 });
  await using loop = acceptLoop(listener, answer, { maxConnections: 1000, whenFull: "shed" });
  await loop.closed;
}`,
    searchTerms: ["accept queue", "backlog", "ListenOverflows", "ListenDrops", "listen queue"],
    proof: "provoked",
  },
  {
    id: "ipv6-dead",
    title: "IPv6 is announced and does not work",
    symptom:
      "Each connection by name takes a quarter of a second longer than it should (Deno.connect 264 ms, fetch 318 ms here); " +
      "by address it hangs.",
    cause: "The name has an IPv6 address, the machine has an IPv6 route, and packets vanish on the way.",
    detection: "IPv4 answers at once, IPv6 never, on the same host.",
    remedy:
      "dial() races the families (RFC 8305) and remembers, per network, which one worked: only the first attempt pays.",
    code: `import { dial } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Remembers, for this network, which family worked.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  await using network = await watchNetwork();
  const { conn } = await dial({ hostname, port }, { network });
  return conn;
}`,
    searchTerms: ["IPv6 broken", "IPv6 slow", "happy eyeballs", "AAAA unreachable", "250 ms"],
    proof: "provoked",
  },
  {
    id: "first-addresses-dead",
    title: "The first of several addresses are dead",
    symptom:
      "Connecting works but takes long: with two dead addresses before the good one fetch took 2.7 s and Deno.connect half " +
      "a second.",
    cause:
      "The name has several addresses, some of the machines are off, and clients try them one after the other.",
    detection: "One address answers at once when dialled by itself.",
    remedy:
      "dial() starts the next attempt after 250 ms at the latest, takes the first that answers, and remembers it.",
    code: `import { dial } from "@holdfast/net/recover";

// A dead address costs a quarter of a second, and nothing the next time.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  const { conn, address, took } = await dial({ hostname, port }, { attemptDelay: 250 });
  console.log(\`\${address} after \${took} ms\`);
  return conn;
}`,
    searchTerms: [
      "several A records",
      "dead address",
      "DNS round robin",
      "multiple addresses",
      "happy eyeballs",
    ],
    proof: "provoked",
  },
  {
    id: "silent-after-accept",
    title: "Something accepts the connection, and then nothing comes",
    symptom: "Connecting succeeds at once, and the TLS handshake or the first read hangs for ever.",
    cause: "A load balancer, proxy or transparent middlebox accepts for a server that is dead behind it.",
    detection: "Connected, and not a byte within 5 s.",
    remedy:
      "Connected is no proof of life. Give dial() a probe, so that the race runs until the handshake or the first bytes, " +
      "and the next address gets its chance.",
    code: `import { dial } from "@holdfast/net/recover";

// The address that finishes the handshake wins, and not the one that accepts first.
async function connect(hostname: string): Promise<Deno.TlsConn> {
  const { conn } = await dial({ hostname, port: 443 }, { transport: "tls", attemptTimeout: 5000 });
  return conn;
}`,
    searchTerms: ["handshake hangs", "TLS handshake timeout", "no response after connect", "load balancer"],
    proof: "provoked",
  },
  {
    id: "ports-exhausted",
    title: "No free local port is left",
    symptom:
      'Connecting fails at once with EADDRNOTAVAIL, "Cannot assign requested address" (os error 99); node:net calls it ' +
      "EINVAL, Windows 10055 or 10048.",
    cause:
      "Thousands of short connections to one server: each closed one holds its port for a minute (TIME_WAIT).",
    detection:
      'The code comes from connecting, not from listening; "ss -tan state time-wait | wc -l" is in the thousands.',
    remedy:
      "Use connections again, let the other side close first, and bound how many are made at once: limit(). Then a pause of " +
      "a second.",
    code: `import { compose, constant, limit, retry } from "@holdfast/net/recover";

// 50 at a time; after a failure a pause of a second.
const policy = compose(
  limit({ concurrency: 50, queue: 1000 }),
  retry({ operation: "connect", backoff: constant(1000) }),
);

function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: [
      "EADDRNOTAVAIL",
      "Cannot assign requested address",
      "TIME_WAIT",
      "AddrNotAvailable",
      "ephemeral ports",
    ],
    proof: "provoked",
  },
  {
    id: "self-connect",
    title: "The program is connected to itself",
    symptom:
      "Connecting to a port on this machine succeeds though nothing listens there, and the server echoes every byte.",
    cause:
      "Local and remote port happen to be the same: TCP lets a socket connect to itself, if it tries a closed port of the " +
      "ephemeral range often enough.",
    detection: "Local and remote address of the connection are equal.",
    remedy: "dial() compares them and takes it as refused. Keep service ports out of the ephemeral range.",
    code: `import { dial } from "@holdfast/net/recover";

// A connection to oneself counts as refused.
async function connect(port: number): Promise<Deno.TcpConn> {
  return (await dial(\`127.0.0.1:\${port}\`)).conn;
}`,
    searchTerms: ["self-connect", "self connect", "connected to itself", "echo"],
    proof: "provoked",
  },
  {
    id: "files-exhausted",
    title: "Too many open files",
    symptom:
      '"Too many open files", EMFILE (os error 24; 10024 or 4 on Windows), ENFILE (23) when the whole system is out. ' +
      "Connecting, opening files and asking for names all fail; the resolver's error has no code.",
    cause:
      "Every connection is a file, and the limit (often 1024) is reached: too much at once, or connections never closed.",
    detection: 'The text, and the number of entries in /proc/PID/fd beside "ulimit -n".',
    remedy: "Bound what runs at once with limit(), close what is idle, find the leak. Never retry tightly.",
    code: `import { limit } from "@holdfast/net/recover";

// Never more than 200 at once, whatever is asked for.
const policy = limit({ concurrency: 200, queue: 1000 });

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["EMFILE", "ENFILE", "Too many open files", "ulimit"],
    proof: "provoked",
  },
  {
    id: "connect-hangs",
    title: "Connecting or the handshake hangs and cannot be called off",
    symptom:
      "A call never returns. Deno.connect and fetch take a signal; Deno.connectTls and Deno.startTls do not, and closing " +
      'the socket under them gives "Interrupted" or EINTR.',
    cause: "No time limit was set, and TCP has none that a person would wait for.",
    detection: "The operation is still pending after 10 s.",
    remedy:
      "Put timeout() around everything that waits, and hand its signal on. dial() bounds name, connection and handshake. " +
      "The runtime keeps the socket of a handshake that was given up until the other end closes it.",
    code: `import { dial } from "@holdfast/net/recover";

// Name, connection and handshake are given 3 and 10 s, and all of it 15.
async function connect(hostname: string): Promise<Deno.TlsConn> {
  const signal = AbortSignal.timeout(15_000);
  return (await dial({ hostname, port: 443 }, { transport: "tls", signal })).conn;
}`,
    searchTerms: ["Interrupted", "EINTR", "hangs forever", "TimeoutError", "Signal timed out"],
    proof: "provoked",
  },
];
