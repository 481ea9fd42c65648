import { assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { reach, type ReachOptions } from "./_reach.ts";

/** A target that the test answers for, attempt by attempt. */
class Target {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly failures: string[] = [];
  attempts = 0;
  subscribers = 0;
  changed: () => void = () => {};
  #began = Promise.withResolvers<void>();
  #attempt: PromiseWithResolvers<string> | undefined;

  options(): ReachOptions<string> {
    return {
      signal: this.stop.signal,
      clock: this.clock,
      onFailure: (error) => this.failures.push(String(error)),
      subscribe: (handler) => {
        this.changed = handler;
        this.subscribers++;
        return { [Symbol.dispose]: () => void this.subscribers-- };
      },
      connect: (signal) => {
        this.attempts++;
        const attempt = Promise.withResolvers<string>();
        signal.addEventListener("abort", () => attempt.reject(signal.reason), { once: true });
        this.#attempt = attempt;
        this.#began.resolve();
        return attempt.promise;
      },
    };
  }

  /** Resolves when an attempt that the test has not seen yet has begun. */
  async begun(): Promise<void> {
    await this.#began.promise;
    this.#began = Promise.withResolvers();
  }

  refuse(): void {
    this.#attempt?.reject("refused");
  }

  answer(): void {
    this.#attempt?.resolve("192.0.2.1:80");
  }

  /** Lets what follows a refusal happen, up to the wait that it ends in. */
  async settle(): Promise<void> {
    await this.clock.tickAsync(0);
  }
}

Deno.test("reach() returns the address as soon as one attempt works", async () => {
  const target = new Target();
  const reached = reach(target.options());
  await target.begun();
  target.answer();
  assertEquals(await reached, "192.0.2.1:80");
  assertEquals([target.attempts, target.subscribers, target.clock.pending], [1, 0, 0]);
});

Deno.test("reach() waits longer after each refusal, and never longer than a second", async () => {
  const target = new Target();
  const reached = reach(target.options());
  for (const wait of [50, 100, 200, 400, 800, 1000, 1000]) {
    await target.begun();
    target.refuse();
    await target.settle();
    const before = target.attempts;
    await target.clock.tickAsync(wait - 1);
    assertEquals(target.attempts, before);
    await target.clock.tickAsync(1);
  }
  await target.begun();
  target.answer();
  await reached;
  assertEquals(target.attempts, 8);
});

Deno.test("reach() tries again at once when the network changes during the wait", async () => {
  const target = new Target();
  const reached = reach(target.options());
  await target.begun();
  target.refuse();
  await target.settle();
  target.changed();
  await target.begun();
  target.answer();
  await reached;
  assertEquals([target.attempts, target.clock.monotonic()], [2, 0]);
});

Deno.test("reach() gives up an attempt that hangs when the network changes, and a young one not", async () => {
  const target = new Target();
  const reached = reach(target.options());
  await target.begun();
  await target.clock.tickAsync(200);
  target.changed();
  await target.settle();
  assertEquals(target.attempts, 1);
  await target.clock.tickAsync(50);
  target.changed();
  await target.begun();
  target.answer();
  await reached;
  assertEquals([target.attempts, target.failures], [2, ["the network changed"]]);
});

Deno.test("reach() bounds each attempt", async () => {
  const target = new Target();
  const reached = reach(target.options());
  await target.begun();
  await target.clock.tickAsync(3000);
  await target.clock.tickAsync(50);
  await target.begun();
  target.answer();
  await reached;
  assertEquals(target.failures, ["no answer within 3000 ms"]);
});

Deno.test("reach() keeps the process alive, whatever it waits for", async () => {
  const target = new Target();
  const { clock } = target;
  const kept: unknown[] = [];
  const after: Clock["after"] = (milliseconds, callback, options) => {
    kept.push(options?.ref);
    return clock.after(milliseconds, callback);
  };
  const own: Clock = { now: () => clock.now(), monotonic: () => clock.monotonic(), after };
  const reached = reach({ ...target.options(), clock: own });
  await target.begun();
  target.refuse();
  await target.settle();
  assertEquals(kept, [true, true]);
  target.stop.abort(new Error("enough"));
  await assertRejects(() => reached, Error, "enough");
});

Deno.test("reach() ends with the signal's reason, during an attempt and during a wait", async () => {
  for (const refuse of [false, true]) {
    const target = new Target();
    const reached = reach(target.options());
    await target.begun();
    if (refuse) target.refuse();
    await target.settle();
    target.stop.abort(new Error("enough"));
    await assertRejects(() => reached, Error, "enough");
    assertEquals([target.subscribers, target.clock.pending], [0, 0]);
  }
});

Deno.test("reach() does not try again what the runtime forbids", async () => {
  const target = new Target();
  const connect = (): Promise<string> => Promise.reject(new PermissionError("connect", ["--allow-net"]));
  await assertRejects(() => reach({ ...target.options(), connect }), PermissionError);
});
