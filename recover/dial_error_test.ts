import { assertEquals, assertStrictEquals } from "@std/assert";
import { classify } from "./classify.ts";
import { type DialAttempt, DialError, mostTelling } from "./dial_error.ts";
import type { Failure } from "./failure.ts";

function failed(
  address: string,
  failure: Partial<Failure>,
  step: DialAttempt["step"] = "connect",
): DialAttempt {
  const full: Failure = { ...classify(null), retry: "later", error: new Error(address), ...failure };
  return { address, family: 4, step, started: 0, ended: 1, outcome: "failed", failure: full };
}

const telling = (...attempts: readonly DialAttempt[]): unknown => mostTelling(attempts)?.kind;

Deno.test("mostTelling() prefers what leaves hope, then what came farthest", () => {
  const refused = failed("a", { kind: "refused" });
  const timeout = failed("b", { kind: "timeout" });
  const tls = failed("c", { kind: "tls", retry: "never" });
  assertEquals(telling(timeout, refused, tls), "refused");
  assertEquals(telling(tls), "tls");
  assertEquals(telling(failed("d", { kind: "unknown" }), tls), "tls");
  assertEquals(telling(), undefined);
});

Deno.test("mostTelling() takes what the name failed of only where no address was tried", () => {
  const dns = failed("a.test", { kind: "dns" }, "resolve");
  assertEquals(telling(dns, failed("a", { kind: "tls", retry: "never" })), "tls");
  assertEquals(telling(dns), "dns");
});

Deno.test("a DialError names the first attempts, keeps all, and is known by its failure", () => {
  const attempts = Array.from(
    { length: 6 },
    (_, n) => failed(`192.0.2.${n}`, { kind: "refused", code: "ECONNREFUSED" }),
  );
  const failure = mostTelling(attempts) ?? classify(null);
  const error = new DialError("a.test:1", failure, attempts);
  assertEquals(
    error.message,
    "Cannot connect to a.test:1: 192.0.2.0 ECONNREFUSED, 192.0.2.1 ECONNREFUSED, 192.0.2.2 ECONNREFUSED, " +
      "192.0.2.3 ECONNREFUSED, and 2 more",
  );
  assertEquals([error.code, error.errors.length, error.attempts.length], ["dial", 6, 6]);
  assertStrictEquals(error.cause, failure.error);
  assertEquals(classify(error).kind, "refused");
});

Deno.test("a DialError names what failed alike for both families once", () => {
  const attempts = [failed("a.test", { scenario: "name-unknown" }, "resolve")];
  const failure = mostTelling(attempts) ?? classify(null);
  const error = new DialError("a.test:1", failure, [...attempts, ...attempts]);
  assertEquals(error.message, "Cannot connect to a.test:1: a.test name-unknown");
});

Deno.test("a DialError tells that something may have been sent if any of its attempts may have sent it", () => {
  const refused = failed("a", { kind: "refused", sent: "no" });
  const silent = failed("b", { kind: "timeout", sent: "maybe" }, "proof");
  const { failure: _, ...abandoned } = failed("c", {}, "proof");
  const sent = (...attempts: readonly DialAttempt[]): unknown =>
    new DialError("a.test:1", mostTelling(attempts) ?? classify(null), attempts).failure.sent;
  assertEquals(sent(refused), "no");
  assertEquals(sent(refused, silent), "maybe");
  assertEquals(sent(refused, { ...abandoned, outcome: "abandoned", failure: null }), "maybe");
  assertEquals(sent(refused, { ...abandoned, step: "handshake", outcome: "abandoned", failure: null }), "no");
});
