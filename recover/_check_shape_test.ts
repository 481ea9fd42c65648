import { assertEquals, assertThrows } from "@std/assert";
import { TestView } from "../tests/_view.ts";
import { checkBackoff, checkBudget, checkFunctions, checkNetwork, checkPolicy } from "./_check_shape.ts";
import { constant, exponential } from "./backoff.ts";
import { budget } from "./budget.ts";
import { compose, type Policy } from "./policy.ts";
import { retry } from "./retry.ts";

Deno.test("what fits, and what is not given, passes", () => {
  checkFunctions("make it", { a: () => {}, b: undefined });
  for (const network of [new TestView(), undefined]) checkNetwork("make it", network);
  for (const shared of [budget(), undefined]) checkBudget("make it", shared);
  for (const backoff of [exponential(), constant(1), undefined]) checkBackoff("make it", "backoff", backoff);
  checkPolicy("make it", "policy", compose());
});

Deno.test("what does not fit is named, with what it must be and what it is", () => {
  const cases: readonly (readonly [check: () => void, message: string])[] = [
    [() => checkFunctions("make it", { ready: true }), "ready must be a function, got true"],
    [
      () => checkNetwork("make it", Promise.resolve()),
      "network must be a network, as `await watchNetwork()` is, got [object Promise]",
    ],
    [() => checkBudget("make it", 5), "budget must be a budget, as `budget()` is, got 5"],
    [
      () => checkBackoff("make it", "backoff", exponential),
      "backoff must be a back-off, as `exponential()` is, got the function exponential",
    ],
    [
      () => checkBackoff("make it", "backoff", null),
      "backoff must be a back-off, as `exponential()` is, got null",
    ],
    [() => checkPolicy("make it", "policy", null), "policy must be a policy, as `retry()` is, got null"],
  ];
  for (const [check, message] of cases) {
    assertEquals(assertThrows(check, TypeError).message, `Cannot make it: ${message}`);
  }
});

Deno.test("compose() takes nothing but policies, lest one be left out in silence", () => {
  for (const wrong of [undefined, retry, [retry()]]) {
    assertThrows(
      () => compose(retry(), wrong as unknown as Policy),
      TypeError,
      "Cannot compose: policy 2 must be",
    );
    assertThrows(
      () => compose(wrong as unknown as Policy, retry()),
      TypeError,
      "Cannot compose: policy 1 must be",
    );
  }
});
