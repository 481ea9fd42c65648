import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../testing/fake_clock.ts";
import { runCode } from "../tests/_code.ts";
import { scale, seed } from "../tests/_require.ts";
import type { Clock } from "./clock.ts";
import { Deliveries } from "./deliveries.ts";

/** Whether a promise has settled once all promise callbacks under way have run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  await new Promise((resolve) => setTimeout(resolve, 0));
  return await Promise.race([promise.catch(() => {}), Promise.resolve(pending)]) !== pending;
}

async function all<T>(deliveries: Deliveries<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of deliveries) items.push(item);
  return items;
}

Deno.test("deliveries arrive in order, those pushed before the end too", async () => {
  const deliveries = new Deliveries<number>();
  void deliveries.push(1);
  const read = all(deliveries);
  void deliveries.push(2);
  void deliveries.push(3);
  deliveries.end();
  assertEquals(await read, [1, 2, 3]);
});

Deno.test("push() resolves at once while there is room, and waits when there is none", async () => {
  const deliveries = new Deliveries<number>({ capacity: 2 });
  await deliveries.push(1);
  const second = deliveries.push(2);
  assertEquals(await settled(second), false);
  const reader = deliveries[Symbol.asyncIterator]();
  assertEquals(await reader.next(), { done: false, value: 1 });
  await second;
  await reader.return?.();
});

Deno.test("push() does not wait when the consumer waits", async () => {
  const deliveries = new Deliveries<number>({ capacity: 1 });
  await using reader = deliveries[Symbol.asyncIterator]();
  const next = reader.next();
  await deliveries.push(1);
  assertEquals(await next, { done: false, value: 1 });
});

Deno.test("no sender is left waiting while there is room, however many wait", async () => {
  const deliveries = new Deliveries<number>({ capacity: 1 });
  const senders = [1, 2, 3].map((item) => deliveries.push(item));
  await using reader = deliveries[Symbol.asyncIterator]();
  for (const value of [1, 2, 3]) assertEquals(await reader.next(), { done: false, value });
  await Promise.all(senders);
});

Deno.test("end() releases the senders and loses nothing of theirs", async () => {
  const deliveries = new Deliveries<number>({ capacity: 1 });
  const senders = [1, 2].map((item) => deliveries.push(item));
  deliveries.end();
  await Promise.all(senders);
  assertEquals(await all(deliveries), [1, 2]);
});

Deno.test("push() after the end rejects", async () => {
  const deliveries = new Deliveries<number>();
  deliveries.end();
  await assertRejects(() => deliveries.push(1), TypeError, "have ended");
});

Deno.test("end() ends a pending read, and only the first end counts", async () => {
  const deliveries = new Deliveries<number>();
  const read = all(deliveries);
  deliveries.end();
  deliveries.end(new Error("too late"));
  assertEquals(await read, []);
  assertEquals(deliveries.locked, false);
});

Deno.test("end(error) throws to the consumer after the last delivery, and to the next one again", async () => {
  const deliveries = new Deliveries<number>();
  const error = new RangeError("lost");
  void deliveries.push(1);
  deliveries.end(error);
  const items: number[] = [];
  const thrown = await assertRejects(async () => {
    for await (const item of deliveries) items.push(item);
  });
  assertStrictEquals(thrown, error);
  assertEquals(items, [1]);
  assertEquals(deliveries.locked, false);
  assertStrictEquals(await assertRejects(() => all(deliveries)), error);
});

Deno.test("end(error) rejects a pending read", async () => {
  const deliveries = new Deliveries<number>();
  const reader = deliveries[Symbol.asyncIterator]();
  const next = reader.next();
  deliveries.end(new RangeError("lost"));
  await assertRejects(() => next, RangeError, "lost");
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("a second reader throws as long as there is a first, also before its first read", async () => {
  const deliveries = new Deliveries<number>();
  const first = deliveries[Symbol.asyncIterator]();
  assertEquals(deliveries.locked, true);
  assertThrows(() => deliveries[Symbol.asyncIterator](), TypeError, "somebody else reads");
  await first.return?.();
  assertEquals(deliveries.locked, false);
  await using _second = deliveries[Symbol.asyncIterator]();
});

Deno.test("leaving a loop gives the lock back, and what is queued waits for the next reader", async () => {
  const deliveries = new Deliveries<number>();
  for (const item of [1, 2, 3]) void deliveries.push(item);
  for await (const item of deliveries) {
    assertEquals(item, 1);
    break;
  }
  deliveries.end();
  assertEquals(await all(deliveries), [2, 3]);
});

Deno.test("return() ends a pending read at once, and loses nothing that comes later", async () => {
  const deliveries = new Deliveries<number>();
  const reader = deliveries[Symbol.asyncIterator]();
  const next = reader.next();
  await reader.return?.();
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(await reader.next(), { done: true, value: undefined });
  await deliveries.push(1);
  deliveries.end();
  assertEquals(await all(deliveries), [1]);
});

Deno.test("a reader that has left does not disturb the one that came after it", async () => {
  const deliveries = new Deliveries<number>();
  const first = deliveries[Symbol.asyncIterator]();
  await first.return?.();
  await using second = deliveries[Symbol.asyncIterator]();
  const next = second.next();
  await first.return?.();
  assertEquals(await first.next(), { done: true, value: undefined });
  assertEquals(deliveries.locked, true);
  await deliveries.push(1);
  assertEquals(await next, { done: false, value: 1 });
});

Deno.test("several pending reads of one reader are served in turn, undefined too", async () => {
  const deliveries = new Deliveries<number | undefined>();
  await using reader = deliveries[Symbol.asyncIterator]();
  const reads = [reader.next(), reader.next()];
  await deliveries.push(undefined);
  await deliveries.push(2);
  assertEquals(await Promise.all(reads), [{ done: false, value: undefined }, { done: false, value: 2 }]);
});

Deno.test("deliveries hold the clock only while a read is pending", async () => {
  const clock = new FakeClock();
  const deliveries = new Deliveries<number>({ clock });
  const reader = deliveries[Symbol.asyncIterator]();
  assertEquals(clock.pending, 0);
  const next = reader.next();
  assertEquals(clock.pending, 1);
  await deliveries.push(1);
  await next;
  assertEquals(clock.pending, 0);
  const last = reader.next();
  deliveries.end();
  await last;
  assertEquals(clock.pending, 0);
});

Deno.test("a read keeps the order of what is delivered while it takes its hold", async () => {
  const clock = new FakeClock();
  let during = (): void => {};
  const hasty: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after(milliseconds, callback) {
      const once = during;
      during = () => {};
      once();
      return clock.after(milliseconds, callback);
    },
  };
  const deliveries = new Deliveries<number>({ capacity: 9, clock: hasty });
  const reader = deliveries[Symbol.asyncIterator]();
  during = () => void deliveries.push(1);
  const first = reader.next();
  void deliveries.push(2);
  assertEquals([await first, await reader.next()].map(({ value }) => value), [1, 2]);
  assertEquals(clock.pending, 0);
});

Deno.test("a capacity below 1 is refused", () => {
  assertThrows(() => new Deliveries({ capacity: 0 }), RangeError, "got 0");
  assertThrows(() => new Deliveries({ capacity: 1.5 }), RangeError, "got 1.5");
});

Deno.test("whatever senders and readers do, each delivery arrives once and in order, and the queue stays bounded", async () => {
  const senders = 3;
  const step = fc.oneof(
    { arbitrary: fc.record({ do: fc.constant("push" as const), sender: fc.nat(senders - 1) }), weight: 4 },
    { arbitrary: fc.record({ do: fc.constant("read" as const) }), weight: 4 },
    { arbitrary: fc.record({ do: fc.constant("leave" as const) }), weight: 1 },
  );
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 60 }),
    fc.integer({ min: 1, max: 4 }),
    async (steps, capacity) => {
      const clock = new FakeClock();
      const deliveries = new Deliveries<number>({ capacity, clock });
      const waiting = new Set<number>();
      const items: number[] = [];
      let reader = deliveries[Symbol.asyncIterator]();
      let pushed = 0;
      const push = async (sender: number): Promise<void> => {
        waiting.add(sender);
        await deliveries.push(pushed++);
        waiting.delete(sender);
      };
      const read = async (): Promise<void> => {
        const result = await reader.next();
        if (!result.done) items.push(result.value);
      };
      const pending: Promise<void>[] = [];
      for (const step of steps) {
        if (step.do === "read") pending.push(read());
        // Each sender waits for its turn, as it must.
        if (step.do === "push" && !waiting.has(step.sender)) pending.push(push(step.sender));
        if (step.do === "leave") {
          await reader.return?.();
          reader = deliveries[Symbol.asyncIterator]();
        }
        // Enough for every promise here to have its say.
        for (let i = 0; i < 8; i++) await Promise.resolve();
        const queued = pushed - items.length;
        assertEquals(queued < capacity + senders, true);
        if (queued < capacity) assertEquals([...waiting], []);
      }
      deliveries.end();
      await Promise.all(pending);
      await reader.return?.();
      items.push(...await all(deliveries));
      assertEquals(items, Array.from({ length: pushed }, (_, i) => i));
      assertEquals([clock.pending, deliveries.locked], [0, false]);
    },
  );
  await fc.assert(property, { numRuns: scale(200), seed: seed() });
});

Deno.test("a pending read keeps the process alive, an idle reader does not", async () => {
  const code = (read: string): string => `
    import { Deliveries } from "#/internal/deliveries.ts";
    const deliveries = new Deliveries();
    const reader = deliveries[Symbol.asyncIterator]();
    ${read}
    Deno.unrefTimer(setTimeout(() => {
      console.log("alive");
      deliveries.end();
    }, 50));
  `;
  assertEquals(await runCode(code("reader.next();"), { flags: [] }), {
    code: 0,
    stdout: "alive\n",
    stderr: "",
  });
  assertEquals(await runCode(code(""), { flags: [] }), { code: 0, stdout: "", stderr: "" });
});
