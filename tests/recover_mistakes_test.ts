/** What a caller gets for an option that is not what it should be: at once, with its name and what was given. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as recover from "../recover/mod.ts";

/** The module, as a program without types sees it. */
// deno-lint-ignore no-explicit-any
const any: any = recover;

const MISTAKES: readonly (readonly [mistake: () => unknown, message: string])[] = [
  [
    () => any.retry({ backoff: 500 }),
    "Cannot make a retry: backoff must be a back-off, as `exponential()` is, got 500",
  ],
  [
    () => any.retry({ backoff: any.exponential }),
    "Cannot make a retry: backoff must be a back-off, as `exponential()` is, got the function exponential",
  ],
  [
    () => any.retry({ network: Promise.resolve() }),
    "Cannot make a retry: network must be a network, as `await watchNetwork()` is, got [object Promise]",
  ],
  [() => any.retry({ ready: true }), "Cannot make a retry: ready must be a function, got true"],
  [() => any.retry({ retryIf: true }), "Cannot make a retry: retryIf must be a function, got true"],
  [
    () => any.retry({ budget: 0.2 }),
    "Cannot make a retry: budget must be a budget, as `budget()` is, got 0.2",
  ],
  [
    () => any.compose(any.retry, any.timeout(5)),
    "Cannot compose: policy 1 must be a policy, as `retry()` is, got the function retry",
  ],
  [() => any.timeout("5s"), 'Cannot make a timeout: limit must be a finite number above 0, got "5s"'],
  [
    () => any.breaker({ network: "wifi" }),
    'Cannot make a breaker: network must be a network, as `await watchNetwork()` is, got "wifi"',
  ],
  [
    () => any.breaker({ coolDown: null }),
    "Cannot make a breaker: coolDown must be a back-off, as `exponential()` is, got null",
  ],
  [
    () => any.exponential({ jitter: "some" }),
    'Cannot back off: jitter must be "full" or "equal" or "none" or "decorrelated", got "some"',
  ],
  [() => any.custom(5), "Cannot back off: delay must be a function, got 5"],
  [
    () => any.dial(),
    'Cannot dial: the target must be "host:port", "[address]:port" or { hostname, port }, got undefined',
  ],
  [() => any.dial("a.test:1", { proof: 5 }), "Cannot dial: proof must be a function, got 5"],
  [
    () => any.dial("a.test:1", { retry: { maxAttempts: 3 } }),
    "Cannot dial: retry must be a policy, as `retry()` is, got [object Object]",
  ],
  [
    () => any.ready("127.0.0.1:9"),
    'Cannot wait for readiness: network must be a network, as `await watchNetwork()` is, got "127.0.0.1:9"',
  ],
  [
    () => any.heartbeat({ ping: () => {}, localAddress: { hostname: "192.0.2.1" } }),
    "Cannot watch for a dead peer: localAddress must be an IP address, got [object Object]",
  ],
  [
    () => any.supervise("feed", () => {}, { backoff: 5 }),
    "Cannot supervise a task: backoff must be a back-off, as `exponential()` is, got 5",
  ],
  [
    () => any.supervise("feed", () => {}, { policy: {} }),
    "Cannot supervise a task: policy must be a policy, as `retry()` is, got [object Object]",
  ],
  [() => any.acceptLoop({}), "Cannot accept connections: handler must be a function, got undefined"],
  [
    () => any.serve({ port: 0 }, () => new Response()),
    "Cannot serve: handler must be a function, got [object Object]",
  ],
  [
    () => any.serve(() => new Response(), { oldConnections: "closed" }),
    'Cannot serve: oldConnections must be "auto" or "close" or "keep", got "closed"',
  ],
];

for (const [mistake, message] of MISTAKES) {
  Deno.test(`a mistake is named: ${message}`, async () => {
    const isLate = /^Cannot (dial|wait)/.test(message);
    const error = isLate
      ? await assertRejects(async () => await mistake(), TypeError)
      : assertThrows(mistake, TypeError);
    assertEquals(error.message, message);
  });
}
