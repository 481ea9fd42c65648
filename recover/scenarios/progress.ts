/** Open connections that are too slow, or move in one direction only. */

import type { ScenarioText } from "./scenario.ts";

/** Open connections that are too slow, or move in one direction only. */
export const progress: readonly ScenarioText[] = [
  {
    id: "reader-stalled",
    title: "The other end does not read",
    symptom: "write() takes some of the bytes and then never returns. There is no error, ever.",
    cause:
      "The other program is stuck or slow, and TCP waits for it for as long as its machine lives (zero window).",
    detection: '"ss -to" shows timer:(persist,...) and rwnd_limited.',
    remedy: "Bound each write by timeout(), keep queues bounded, and drop the consumer that is too slow.",
    code: `import { timeout } from "@holdfast/net/recover";

// 10 s per write; whoever reads slower is dropped.
async function send(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    const written = await timeout(10_000).execute(({ signal }) => {
      signal.addEventListener("abort", () => connection.close(), { once: true });
      return connection.write(rest);
    });
    rest = rest.subarray(written);
  }
}`,
    searchTerms: [
      "zero window",
      "persist timer",
      "rwnd_limited",
      "write hangs",
      "slow consumer",
      "backpressure",
    ],
    proof: "provoked",
  },
  {
    id: "mtu-black-hole",
    title: "Small messages pass, large ones vanish",
    symptom:
      "Connecting, logging in and small requests work; a large upload or answer hangs, ETIMEDOUT many minutes later.",
    cause:
      "A link on the way takes smaller packets only (a VPN, PPPoE), and a firewall drops the message that would say so " +
      '(ICMP "fragmentation needed").',
    detection:
      'A small ping is answered and a large one is not; "ss -ti" shows retransmissions and an unchanged mss.',
    remedy:
      "Clamp the MSS on the router, or set tcp_mtu_probing=1 (healed by itself after 6.6 s here). A program finds it by a " +
      "time limit on progress, not by a ping.",
    code: `import { timeout } from "@holdfast/net/recover";

// A large question tells what a small ping cannot.
async function largePass(url: string): Promise<boolean> {
  const body = new Uint8Array(20_000);
  const policy = timeout(5000);
  const answer = await policy.execute(({ signal }) => fetch(url, { method: "POST", body, signal })).catch(
    () => null,
  );
  await answer?.body?.cancel();
  return answer !== null;
}`,
    searchTerms: ["MTU", "MSS", "fragmentation needed", "PMTU", "black hole", "large upload hangs", "PPPoE"],
    proof: "provoked",
  },
  {
    id: "early-reply",
    title: "The server answered and closed while we were still sending",
    symptom:
      'A large upload fails with "Broken pipe", EPIPE, though the server has sent an answer that says why.',
    cause: "The server refused early (too large, not allowed) and closed without reading the rest.",
    detection: "After EPIPE a read still gives the answer: in 50 of 50 runs here.",
    remedy: "After a failed write read to the end first, then judge.",
    code: `async function send(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}

// Sends, and reads what the server said even when it did not want all of it.
async function exchange(connection: Deno.Conn, bytes: Uint8Array): Promise<string> {
  const sending = send(connection, bytes).then(() => null, (error: unknown) => error);
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(16_384);
  let answer = "";
  for (;;) {
    const length = await connection.read(buffer).catch(() => null);
    if (length === null) break;
    answer += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  const failure = await sending;
  if (answer === "" && failure !== null) throw failure;
  return answer;
}`,
    searchTerms: ["EPIPE", "Broken pipe", "413", "upload fails"],
    proof: "provoked",
  },
  {
    id: "tls-first-round-trip",
    title: "The first exchange over TLS takes 40 or 80 ms more",
    symptom: "The handshake takes 1.4 ms, the first answer 86 ms, all others 0.15 ms.",
    cause:
      "Two economies wait for each other: Nagle's algorithm for an acknowledgement, the delayed acknowledgement for data.",
    detection: "About 40 ms per side, on the first exchange only, on a fast network.",
    remedy:
      "Switch Nagle off before the handshake, as dial() does; after it a TLS connection has no such switch.",
    code: `import { dial } from "@holdfast/net/recover";

// Without Nagle's algorithm from the first byte on.
async function connect(hostname: string): Promise<Deno.TlsConn> {
  return (await dial({ hostname, port: 443 }, { transport: "tls", noDelay: true })).conn;
}`,
    searchTerms: ["Nagle", "TCP_NODELAY", "setNoDelay", "delayed ACK", "40 ms", "slow first request"],
    proof: "provoked",
  },
  {
    id: "latency-spike",
    title: "A slow moment is taken for death",
    symptom: "Healthy connections are dropped and made again, mostly while something large is transferred.",
    cause:
      "Full buffers or Wi-Fi roaming delay everything by 1 to 5 s, and the heartbeat's limit is shorter.",
    detection: "The answer to the ping arrives just after the connection was given up.",
    remedy:
      "Have the limit follow the round-trip time, with 2 s as the least: three of them, as heartbeat() does. Suspect first, then check.",
    code: `import { heartbeat } from "@holdfast/net/recover";

// Three round trips, 2 s at the least, are the limit; "suspect" is the moment to look closer.
function guard(connection: Deno.Conn, ping: (signal: AbortSignal) => Promise<void>): Disposable {
  const beat = heartbeat({ ping });
  beat.on("suspect", () => console.warn(\`No answer yet, the last took \${beat.rtt} ms\`));
  beat.on("dead", () => connection.close());
  return beat;
}`,
    searchTerms: ["bufferbloat", "roaming", "latency spike", "ping timeout", "flapping connection"],
    proof: "documented",
  },
  {
    id: "packet-loss",
    title: "Packets are lost",
    symptom: "Throughput collapses, and some requests take 200 ms, 400 ms or 600 ms more than others.",
    cause: "A bad radio link or a congested one; each lost packet may cost a time-out of at least 200 ms.",
    detection: '"ss -ti" shows retrans; ping shows loss.',
    remedy:
      "hedge() requests that may happen twice: the second one is seldom lost as well. Fewer and larger messages help too.",
    code: `import { hedge } from "@holdfast/net/recover";

// Asks again when an answer takes longer than 95 of 100 did before; the first answer counts.
const policy = hedge({ idempotent: true });

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["packet loss", "retransmissions", "slow p99", "tail latency"],
    proof: "provoked",
  },
  {
    id: "one-way-loss",
    title: "What we send arrives, and nothing comes back",
    symptom:
      "Connecting ends with ETIMEDOUT; on an open connection requests time out, and yet they were carried out.",
    cause: "Packets are lost in one direction only.",
    detection: "The other end's log shows the requests that timed out here.",
    remedy:
      "A time-out does not mean that nothing happened. Give each request an id that the server knows again, and repeat " +
      "only then: Failure.sent is maybe.",
    code: `import { retry } from "@holdfast/net/recover";

// The same id at each attempt: the server knows a repetition when it sees one.
function order(url: string, body: string): Promise<Response> {
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  return retry({ idempotent: true }).execute(({ signal }) =>
    fetch(url, { method: "POST", headers, body, signal })
  );
}`,
    searchTerms: ["request executed twice", "duplicate request", "one-way", "ETIMEDOUT", "idempotency key"],
    proof: "provoked",
  },
  {
    id: "drip",
    title: "Bytes trickle in, too slowly to ever finish",
    symptom:
      "A download never ends and never fails; the time limit on silence never fires, because there is no silence.",
    cause: "An overloaded server, a throttled link, or somebody who wants to keep us busy.",
    detection: "Bytes per second, over a window of some seconds.",
    remedy: "A limit on the whole besides the one on silence: timeout() around all of it.",
    code: `import { timeout } from "@holdfast/net/recover";

// 30 s for all of it, however busily it trickles.
function load(url: string): Promise<string> {
  return timeout(30_000).execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["drip", "slow download", "slowloris", "throttled"],
    proof: "documented",
  },
  {
    id: "connection-age-limit",
    title: "Something on the way cuts connections of a certain age",
    symptom: "Long connections break after the same time, again and again: a minute, an hour, a day.",
    cause: "Proxies, load balancers and hosting platforms end what is too old, busy or not.",
    detection: "The age at the break is always the same.",
    remedy:
      "Renew before that, at a random part of the age, new connection first. supervise() restarts what ended anyway.",
    code: `import { supervise, type Supervised } from "@holdfast/net/recover";

// Renews each connection after 40 to 60 minutes, before a proxy that allows an hour cuts it.
function renewing(session: (signal: AbortSignal) => Promise<void>): Supervised {
  return supervise("session", async ({ signal }) => {
    const age = AbortSignal.timeout((40 + 20 * Math.random()) * 60_000);
    await session(AbortSignal.any([signal, age]));
  }, { restart: "always" });
}`,
    searchTerms: ["breaks every hour", "connection age", "max connection age", "GOAWAY", "load balancer"],
    proof: "documented",
  },
];
