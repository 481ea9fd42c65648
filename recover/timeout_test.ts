import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { StallingClock } from "../tests/_stalling_clock.ts";
import { timeout, TimeoutError } from "./timeout.ts";

const never = (): Promise<never> => new Promise(() => {});

Deno.test("timeout() hands the value of the work through and leaves no timer", async () => {
  const clock = new FakeClock();
  const policy = timeout(100, { clock });
  assertEquals(await policy.execute(({ attempt }) => attempt, { attempt: 3 }), 3);
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() hands through what the work throws, at once or later", async () => {
  const clock = new FakeClock();
  const thrown = new Error("no");
  const policy = timeout(100, { clock });
  const sync = await assertRejects(() =>
    policy.execute(() => {
      throw thrown;
    })
  );
  assertStrictEquals(sync, thrown);
  assertStrictEquals(await assertRejects(() => policy.execute(() => Promise.reject(thrown))), thrown);
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() rejects and aborts the signal when the time is up, even if the work ignores it", async () => {
  const clock = new FakeClock();
  const seen: number[] = [];
  const policy = timeout(100, { clock });
  using _ = policy.on("timeout", ({ limit }) => seen.push(limit));
  let signal: AbortSignal | undefined;
  const result = assertRejects(() =>
    policy.execute((attempt) => {
      signal = attempt.signal;
      return never();
    }), TimeoutError);
  await clock.tickAsync(99);
  assertEquals(signal?.aborted, false);
  await clock.tickAsync(1);
  const error = await result;
  assertEquals([error.code, error.limit, error.message], [
    "timeout",
    100,
    "Cannot finish in time: 100 ms have passed",
  ]);
  assertStrictEquals(signal?.reason, error);
  assertEquals([seen, clock.pending], [[100], 0]);
});

Deno.test("timeout() in cooperative mode takes a late value, and gives a late error as the cause", async () => {
  const clock = new FakeClock();
  const policy = timeout(100, { clock, mode: "cooperative" });
  const obeying = (end: (resolve: (value: string) => void, reject: (error: unknown) => void) => void) =>
    policy.execute(({ signal }) =>
      new Promise<string>((resolve, reject) => {
        signal.addEventListener("abort", () => end(resolve, reject));
      })
    );
  const value = obeying((resolve) => resolve("just so"));
  const late = new Error("stopped");
  const failed = assertRejects(() => obeying((_, reject) => reject(late)), TimeoutError);
  await clock.tickAsync(100);
  assertEquals(await value, "just so");
  assertStrictEquals((await failed).cause, late);
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() ends with the caller's reason, which the work is told, and lets go of his signal", async () => {
  const clock = new FakeClock();
  const caller = new AbortController();
  const reason = new Error("enough");
  let told: unknown;
  const result = assertRejects(() =>
    timeout(100, { clock }).execute(({ signal }) => {
      signal.addEventListener("abort", () => told = signal.reason);
      return never();
    }, { signal: caller.signal })
  );
  caller.abort(reason);
  assertStrictEquals(await result, reason);
  assertStrictEquals(told, reason);
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() does not begin once the caller has given up", async () => {
  let ran = false;
  const result = timeout(100).execute(() => void (ran = true), { signal: AbortSignal.abort("enough") });
  assertEquals(await result.catch((reason) => reason), "enough");
  assertEquals(ran, false);
});

Deno.test("timeout() gives the work one more turn after the event loop stood still", async () => {
  const clock = new StallingClock();
  const { promise, resolve } = Promise.withResolvers<string>();
  const result = timeout(100, { clock }).execute(() => promise);
  clock.stall(5000);
  // Its timer is the first to run; what has arrived meanwhile comes right behind it.
  clock.after(100, () => resolve("it was there"));
  await clock.tickAsync(100);
  assertEquals(await result, "it was there");
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() judges after that one turn", async () => {
  const clock = new StallingClock();
  const result = assertRejects(() => timeout(100, { clock }).execute(never), TimeoutError);
  clock.stall(5000);
  await clock.tickAsync(100);
  await result;
  assertEquals(clock.pending, 0);
});

Deno.test("timeout() finds the answer that came while this very process stood still", async () => {
  // The other side runs in a thread of its own, and says by shared memory when its answer is on the way.
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const code = `onmessage = async ({ data: { flags, port } }) => {
    const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
    postMessage("connected");
    Atomics.wait(flags, 0, 0);
    await connection.write(new Uint8Array([7]));
    Atomics.store(flags, 1, 1);
    connection.close();
    postMessage("done");
  }`;
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), {
    type: "module",
  });
  const messages: string[] = [];
  const done = new Promise<void>((resolve) => {
    worker.onmessage = ({ data }) => {
      messages.push(data);
      if (data === "done") resolve();
    };
  });
  worker.postMessage({ flags, port: listener.addr.port });
  using connection = await listener.accept();
  const limit = 50;
  const buffer = new Uint8Array(1);
  const result = timeout(limit).execute(() => connection.read(buffer));
  const began = performance.now();
  // The read is on its way to the system before everything stops.
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
  while (Atomics.load(flags, 1) === 0 || performance.now() - began < 3 * limit);
  assertEquals(await result, 1);
  assertEquals(buffer[0], 7);
  await done;
  assert(messages.includes("done"));
  worker.terminate();
});

Deno.test("timeout() says what is wrong with its options", () => {
  const limit = assertThrows(() => timeout(0), RangeError);
  assertEquals(limit.message, "Cannot make a timeout: limit must be a finite number above 0, got 0");
  const mode = assertThrows(() => timeout(1, { mode: "soft" as "cooperative" }), TypeError);
  assertEquals(mode.message, 'Cannot make a timeout: mode must be "aggressive" or "cooperative", got "soft"');
});
