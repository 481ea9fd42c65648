import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { compose, type Policy } from "./policy.ts";

function named(name: string, log: string[]): Policy {
  return {
    async execute(work, { signal = new AbortController().signal, attempt = 0 } = {}) {
      log.push(`${name} in`);
      const result = await work({ signal, attempt });
      log.push(`${name} out`);
      return result;
    },
  };
}

Deno.test("compose() puts the first policy outermost", async () => {
  const log: string[] = [];
  const policy = compose(named("a", log), named("b", log), named("c", log));
  assertEquals(await policy.execute(() => 7), 7);
  assertEquals(log, ["a in", "b in", "c in", "c out", "b out", "a out"]);
});

Deno.test("compose() of nothing runs the function, unless it was called off before", async () => {
  assertEquals(await compose().execute(({ attempt }) => attempt), 0);
  const reason = new Error("no more");
  let ran = false;
  const caught = await assertRejects(() =>
    compose().execute(() => void (ran = true), { signal: AbortSignal.abort(reason) })
  );
  assertStrictEquals(caught, reason);
  assertEquals(ran, false);
});

Deno.test("compose() of one policy is that policy", () => {
  const policy = named("a", []);
  assertStrictEquals(compose(policy), policy);
});

Deno.test("compose() hands signal and attempt on to the inner policies", async () => {
  const { signal } = new AbortController();
  const counting: Policy = { execute: async (work) => await work({ signal, attempt: 4 }) };
  const seen = await compose(counting, named("b", [])).execute((attempt) => attempt);
  assertEquals(seen.attempt, 4);
  assertStrictEquals(seen.signal, signal);
});
