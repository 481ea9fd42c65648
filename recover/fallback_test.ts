import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { madeUp, MadeUpError } from "../tests/_failures.ts";
import { fallback } from "./fallback.ts";

const classify = madeUp;
const failing = (failure = {}) => (): Promise<string> => Promise.reject(new MadeUpError(failure));

Deno.test("fallback() hands a value through", async () => {
  assertEquals(
    await fallback(() => "other", { classify }).execute(({ attempt }) => attempt, { attempt: 2 }),
    2,
  );
});

Deno.test("fallback() gives something else in place of a failure, and tells", async () => {
  const policy = fallback(({ kind }) => Promise.resolve(`not ${kind}`), { classify });
  const seen: string[] = [];
  using _ = policy.on("fallback", ({ failure }) => seen.push(failure.kind));
  assertEquals(await policy.execute(failing({ kind: "refused" })), "not refused");
  assertEquals(seen, ["refused"]);
});

Deno.test("fallback() hands through what it is not for", async () => {
  const policy = fallback(() => "other", { classify, when: ({ kind }) => kind === "refused" });
  assertEquals(await policy.execute(failing({ kind: "refused" })), "other");
  await assertRejects(() => policy.execute(failing({ kind: "reset" })), MadeUpError);
});

Deno.test("fallback() never replaces what the caller called off", async () => {
  const policy = fallback(() => "other", { classify });
  await assertRejects(() => policy.execute(failing({ kind: "cancelled" })), MadeUpError);
  const caller = new AbortController();
  const stopped = assertRejects(() =>
    policy.execute(() => {
      caller.abort();
      throw new MadeUpError({});
    }, { signal: caller.signal }), MadeUpError);
  await stopped;
  let ran = false;
  await assertRejects(() => policy.execute(() => void (ran = true), { signal: caller.signal }));
  assertEquals(ran, false);
});

Deno.test("fallback() gives the signal of the call on, and throws what the substitute throws", async () => {
  const caller = new AbortController();
  const thrown = new Error("that neither");
  const policy = fallback((_, { signal }) => {
    assertStrictEquals(signal, caller.signal);
    throw thrown;
  }, { classify });
  const error = await assertRejects(() => policy.execute(failing(), { signal: caller.signal }));
  assertStrictEquals(error, thrown);
});

Deno.test("fallback() says what is wrong with its options", () => {
  const error = assertThrows(() => fallback("other" as never), TypeError);
  assertEquals(error.message, 'Cannot make a fallback: substitute must be a function, got "other"');
});
