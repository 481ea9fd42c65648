/** Failures of the machine itself: time, load, rights. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of the machine itself: time, load, rights. */
export const host: readonly ScenarioText[] = [
  {
    id: "suspend",
    title: "The machine slept",
    symptom: "After opening the lid every connection hangs or breaks, and timers fire late, all at once.",
    cause:
      "While it slept, servers and routers forgot it. On Linux and macOS the monotonic clock stood still meanwhile.",
    detection:
      "The wall clock moved far more than a timer should have: the watcher's wake event says by how much.",
    remedy:
      "At wake check every connection at once, with a limit of a second: heartbeat() with a network does, and retry() wakes up.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Calls check() for every connection at the moment of waking.
async function follow(check: (slept: number) => Promise<void>): Promise<void> {
  await using network = await watchNetwork();
  for await (const event of network.events) {
    if (event.type === "wake") await check(event.slept);
  }
}`,
    searchTerms: ["suspend", "sleep", "asleep", "resume", "laptop lid", "wake up", "hibernate"],
    proof: "simulated",
  },
  {
    id: "clock-jump",
    title: "The wall clock jumped",
    symptom:
      "Time limits expire at once or never, caches and tokens are off, certificates are suddenly not valid.",
    cause: "Time was set by NTP or by a person, and the program measures durations with Date.now().",
    detection: "Date.now() and performance.now() disagree about how long something took.",
    remedy:
      "Measure durations with a monotonic clock, as everything here does; the wall clock is for people and certificates.",
    code: `import { suspendWatchdog } from "@holdfast/net/recover";

// A time limit that no change of the wall clock can move.
function deadline(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds;
  return () => performance.now() >= end;
}

// Tells when the wall clock was set.
function follow(tell: (by: number) => void): Disposable {
  const watchdog = suspendWatchdog();
  watchdog.on("clockjump", ({ by }) => tell(by));
  return watchdog;
}`,
    searchTerms: ["clock jump", "Date.now", "NTP", "time went backwards", "clock skew"],
    proof: "simulated",
  },
  {
    id: "event-loop-stall",
    title: "The program itself was busy",
    symptom: "Pings are late and healthy connections are given up, always together with a high CPU load.",
    cause: "A long computation or a synchronous call held the event loop, and the answers waited unread.",
    detection: "A timer fires much later than asked for.",
    remedy:
      "Do not judge others right after a stall: heartbeat() adds the lag to its limits. Move the work to a Worker.",
    code: `import { loopLag } from "@holdfast/net/recover";

// Tells when the program itself was the slow one.
async function watched<T>(work: () => Promise<T>): Promise<T> {
  using lag = loopLag({ interval: 100 });
  const value = await work();
  if (lag.max > 200) console.warn(\`The event loop was held for \${Math.round(lag.max)} ms\`);
  return value;
}`,
    searchTerms: ["event loop blocked", "event loop lag", "blocked main thread", "high CPU"],
    proof: "provoked",
  },
  {
    id: "process-frozen",
    title: "The process was stopped for a while",
    symptom: "As after sleep, but the machine was awake: connections time out, timers come late.",
    cause: "A debugger, Ctrl-Z, a container that was paused, or a virtual machine that was moved.",
    detection: "All clocks moved on in one tick: 4.07 s after a stop of 4 s here.",
    remedy: "As for suspend: check every connection first, then go on.",
    code: `import { suspendWatchdog } from "@holdfast/net/recover";

// Calls check() when the machine slept, or the process was stopped.
function follow(check: (slept: number, reason: "asleep" | "stalled") => void): Disposable {
  const watchdog = suspendWatchdog();
  watchdog.on("wake", ({ slept, reason }) => check(slept, reason));
  return watchdog;
}`,
    searchTerms: ["SIGSTOP", "SIGCONT", "docker pause", "freezer", "debugger paused", "live migration"],
    proof: "provoked",
  },
  {
    id: "kernel-table-full",
    title: "A table or buffer of the kernel is full",
    symptom:
      'ENOBUFS, "No buffer space available" (os error 105 on Linux, 55 on macOS, 10055 on Windows), or EPERM from a UDP ' +
      "send; new TCP connections time out while old ones work.",
    cause: "The connection-tracking table is full, or memory for sockets is used up.",
    detection: '"dmesg" says "nf_conntrack: table full, dropping packet".',
    remedy: "Make fewer connections at once (limit()), pause, then go on; raise nf_conntrack_max.",
    code: `import { compose, constant, limit, retry } from "@holdfast/net/recover";

// 100 at a time, and a pause of a second after a failure.
const policy = compose(
  limit({ concurrency: 100, queue: 1000 }),
  retry({ operation: "connect", backoff: constant(1000) }),
);

function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: [
      "ENOBUFS",
      "No buffer space available",
      "nf_conntrack: table full",
      "conntrack table full",
      "ENOMEM",
    ],
    proof: "documented",
  },
  {
    id: "retry-storm",
    title: "All clients come back at the same moment",
    symptom: "A server recovers and falls over again at once, in waves.",
    cause: "Everybody lost it together, and everybody tries again after the same pause.",
    detection: "The rate of attempts has peaks at equal distances.",
    remedy:
      "Full jitter, which is the default of retry(), a budget(), and a breaker(). 100 clients in a model needed 794 calls " +
      "with full jitter and 1877 with plain doubling.",
    code: `import { breaker, budget, compose, exponential, retry } from "@holdfast/net/recover";

// Full jitter, a fifth of the requests at most for retries, and a pause when all fails.
const policy = compose(
  retry({ idempotent: true, backoff: exponential({ jitter: "full" }), budget: budget({ ratio: 0.2 }) }),
  breaker(),
);

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["thundering herd", "retry storm", "jitter", "reconnect storm"],
    proof: "simulated",
  },
  {
    id: "permission-missing",
    title: "The runtime does not allow it",
    symptom:
      '"Requires net access to ..., run again with the --allow-net flag", NotCapable. It looks like a failure of the ' +
      "network and is none.",
    cause: "Deno was started without that permission.",
    detection: "The class NotCapable, or the flag in the text.",
    remedy:
      'Add the flag that the message names; "holdfast permissions" prints those of this package. classify() says never.',
    code: `import { classify } from "@holdfast/net/recover";

// Tells a missing flag from a network that does not work.
async function load(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } catch (error) {
    const { scenario, hint } = classify(error, { operation: "request" });
    if (scenario === "permission-missing") console.error(hint);
    throw error;
  }
}`,
    searchTerms: [
      "NotCapable",
      "--allow-net",
      "Requires net access",
      "Requires run access",
      "run again with",
    ],
    proof: "provoked",
  },
];
