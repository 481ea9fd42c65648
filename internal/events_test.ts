import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../testing/fake_clock.ts";
import { runCode } from "../tests/_code.ts";
import { scale, seed } from "../tests/_require.ts";
import { Broadcast, type BroadcastOptions } from "./events.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import { setLogger, silentLogger } from "./log.ts";

type Event =
  | { readonly type: "count"; readonly value: number }
  | { readonly type: "other" }
  | { readonly type: "resync"; readonly value: number };

/** A broadcast whose state is how many events it has published. */
class Counter extends Broadcast<Event> {
  published = 0;

  constructor(options: Partial<BroadcastOptions<Event>> = {}) {
    super({ clock: new FakeClock(), resync: () => ({ type: "resync", value: this.published }), ...options });
  }

  count(times: number = 1): void {
    for (let i = 0; i < times; i++) this.publish({ type: "count", value: this.published++ });
  }
}

async function all(events: AsyncIterable<Event>): Promise<Event[]> {
  const seen: Event[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

const count = (value: number): Event => ({ type: "count", value });

function recordingLogger(): { readonly logger: Logger; readonly errors: unknown[][] } {
  const errors: unknown[][] = [];
  return { logger: { ...silentLogger, error: (...args) => errors.push(args) }, errors };
}

Deno.test("each iteration gets every event since it began, whoever else reads", async () => {
  const counter = new Counter();
  const first = counter[Symbol.asyncIterator]();
  counter.count();
  const second = counter[Symbol.asyncIterator]();
  counter.count();
  counter.end();
  assertEquals(await all(first), [count(0), count(1)]);
  assertEquals(await all(second), [count(1)]);
});

Deno.test("an iteration that waits gets the next event", async () => {
  const counter = new Counter();
  await using iteration = counter[Symbol.asyncIterator]();
  const nexts = [iteration.next(), iteration.next()];
  counter.count(2);
  assertEquals(await Promise.all(nexts), [{ done: false, value: count(0) }, {
    done: false,
    value: count(1),
  }]);
});

Deno.test("a consumer that is too slow gets one resync with the state of the moment, then everything after it", async () => {
  const counter = new Counter({ capacity: 3 });
  await using iteration = counter[Symbol.asyncIterator]();
  counter.count(4);
  counter.count(3);
  assertEquals((await iteration.next()).value, { type: "resync", value: 7 });
  counter.count(3);
  for (const value of [7, 8, 9]) assertEquals((await iteration.next()).value, count(value));
});

Deno.test("a slow consumer takes nothing from a quick one", async () => {
  const counter = new Counter({ capacity: 2 });
  await using slow = counter[Symbol.asyncIterator]();
  await using quick = counter[Symbol.asyncIterator]();
  for (let value = 0; value < 5; value++) {
    counter.count();
    assertEquals((await quick.next()).value, count(value));
  }
  assertEquals((await slow.next()).value, { type: "resync", value: 5 });
});

Deno.test("an overflow before the end is told before it", async () => {
  const counter = new Counter({ capacity: 1 });
  const iteration = counter[Symbol.asyncIterator]();
  counter.count(2);
  counter.end();
  assertEquals(await all(iteration), [{ type: "resync", value: 2 }]);
});

Deno.test("a resync that cannot be made is not forgotten", async () => {
  let broken = true;
  const counter = new Counter({
    capacity: 1,
    resync: () => {
      if (broken) throw new RangeError("no state");
      return { type: "resync", value: -1 };
    },
  });
  await using iteration = counter[Symbol.asyncIterator]();
  counter.count(2);
  await assertRejects(() => iteration.next(), RangeError, "no state");
  broken = false;
  assertEquals((await iteration.next()).value, { type: "resync", value: -1 });
});

Deno.test("end() ends pending iterations and those that come later, and nothing is published any more", async () => {
  const counter = new Counter();
  const handled: Event[] = [];
  counter.on("count", (event) => handled.push(event));
  const pending = all(counter);
  counter.end();
  counter.end();
  counter.count();
  counter.on("count", (event) => handled.push(event));
  counter.count();
  assertEquals([await pending, await all(counter), handled], [[], [], []]);
});

Deno.test("return() ends a pending iteration at once, and what is queued is gone", async () => {
  const counter = new Counter();
  const iteration = counter[Symbol.asyncIterator]();
  const next = iteration.next();
  await iteration.return?.();
  counter.count();
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(await iteration.next(), { done: true, value: undefined });
});

Deno.test("on() calls a handler for its type at once, and disposing the registration ends that", () => {
  const counter = new Counter();
  const seen: number[] = [];
  const registration = counter.on("count", (event) => seen.push(event.value));
  counter.count();
  assertEquals(seen, [0]);
  counter.publish({ type: "other" });
  registration[Symbol.dispose]();
  registration[Symbol.dispose]();
  counter.count();
  assertEquals(seen, [0]);
});

Deno.test("subscribe() calls a handler for every event", () => {
  const counter = new Counter();
  const seen: string[] = [];
  using _ = counter.subscribe((event) => seen.push(event.type));
  counter.count();
  counter.publish({ type: "other" });
  assertEquals(seen, ["count", "other"]);
});

Deno.test("one function registered twice is two registrations", () => {
  const counter = new Counter();
  const seen: number[] = [];
  const handler = (event: { readonly value: number }): void => void seen.push(event.value);
  const first = counter.on("count", handler);
  counter.on("count", handler);
  counter.count();
  first[Symbol.dispose]();
  counter.count();
  assertEquals(seen, [0, 0, 1]);
});

Deno.test("handlers are called in the order of registration; one that is taken away meanwhile is not, nor one that is new", () => {
  const counter = new Counter();
  const seen: string[] = [];
  counter.on("count", () => {
    seen.push("first");
    second[Symbol.dispose]();
    counter.on("count", () => seen.push("late"));
  });
  const second = counter.on("count", () => seen.push("second"));
  counter.subscribe(() => seen.push("third"));
  counter.count();
  assertEquals(seen, ["first", "third"]);
});

Deno.test("a handler that throws or rejects harms nobody else and is reported to the logger", async () => {
  const { logger, errors } = recordingLogger();
  const counter = new Counter({ logger });
  const seen: number[] = [];
  const thrown = new RangeError("thrown");
  const rejected = new RangeError("rejected");
  counter.on("count", () => {
    throw thrown;
  });
  counter.on("count", () => Promise.reject(rejected));
  counter.on("count", (event) => seen.push(event.value));
  await using iteration = counter[Symbol.asyncIterator]();
  counter.count();
  assertEquals([seen, (await iteration.next()).value], [[0], count(0)]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const message = 'Uncaught error in a handler of "count"';
  assertEquals(errors, [[message, thrown], [message, rejected]]);
});

Deno.test("a handler's error goes to the process-wide logger where no other is given, and to the console where there is none", () => {
  const { logger, errors } = recordingLogger();
  const written: unknown[][] = [];
  const { error: original } = console;
  const counter = new Counter();
  counter.on("other", () => {
    throw new RangeError("as planned");
  });
  try {
    console.error = (...args) => written.push(args);
    counter.publish({ type: "other" });
    assertEquals([written.length, errors.length], [1, 0]);
    setLogger(logger);
    counter.publish({ type: "other" });
    assertEquals([written.length, errors.length], [1, 1]);
  } finally {
    console.error = original;
    setLogger(undefined);
  }
});

Deno.test("iterations hold the clock only while they are pending", async () => {
  const clock = new FakeClock();
  const counter = new Counter({ clock });
  const registration = counter.on("count", () => {});
  const iteration = counter[Symbol.asyncIterator]();
  assertEquals(clock.pending, 0);
  const next = iteration.next();
  assertEquals(clock.pending, 1);
  counter.count();
  await next;
  assertEquals(clock.pending, 0);
  void iteration.next();
  await iteration[Symbol.asyncDispose]();
  assertEquals(clock.pending, 0);
  registration[Symbol.dispose]();
});

Deno.test("an iteration keeps the order of what is published while it takes its hold", async () => {
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
  const events = new Counter({ clock: hasty });
  const iterator = events[Symbol.asyncIterator]();
  during = () => events.count(2);
  const first = iterator.next();
  events.count();
  const values = [await first, await iterator.next(), await iterator.next()].map(({ value }) => value);
  assertEquals(values, [count(0), count(1), count(2)]);
  during = () => events.end();
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(clock.pending, 0);
});

Deno.test("a capacity below 1 is refused", () => {
  assertThrows(() => new Counter({ capacity: 0 }), RangeError, "got 0");
  assertThrows(() => new Counter({ capacity: NaN }), RangeError, "got NaN");
});

Deno.test("any consumer sees either every event in order since it began, or one resync in place of a gap and everything after", async () => {
  const step = fc.oneof(
    {
      arbitrary: fc.record({ do: fc.constant("publish" as const), times: fc.integer({ min: 1, max: 6 }) }),
      weight: 3,
    },
    { arbitrary: fc.record({ do: fc.constant("read" as const), consumer: fc.nat(4) }), weight: 6 },
    { arbitrary: fc.record({ do: fc.constant("begin" as const) }), weight: 1 },
  );
  let resyncs = 0;
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 80 }),
    fc.integer({ min: 1, max: 5 }),
    async (steps, capacity) => {
      const clock = new FakeClock();
      const counter = new Counter({ capacity, clock });
      const begin = () => ({
        iteration: counter[Symbol.asyncIterator](),
        began: counter.published,
        results: [] as Promise<IteratorResult<Event, void>>[],
      });
      const consumers = [begin()];
      for (const step of steps) {
        if (step.do === "publish") counter.count(step.times);
        if (step.do === "begin") consumers.push(begin());
        if (step.do === "read") {
          const consumer = consumers[step.consumer % consumers.length];
          consumer?.results.push(consumer.iteration.next());
        }
      }
      counter.end();
      for (const { iteration, began, results } of consumers) {
        const seen = (await Promise.all(results)).filter((result) => !result.done).map((result) =>
          result.value
        );
        const rest = await all(iteration);
        // What waited for it was bounded: its queue, or one resync in place of it.
        assertEquals(rest.length <= capacity, true);
        let expected = began;
        for (const event of [...seen, ...rest]) {
          if (event?.type === "resync") {
            // More was lost than its queue would have held.
            assertEquals(event.value - expected > capacity, true);
            expected = event.value;
            resyncs++;
          } else {
            assertEquals(event, count(expected++));
          }
        }
        assertEquals(expected, counter.published);
      }
      assertEquals(clock.pending, 0);
    },
  );
  await fc.assert(property, { numRuns: scale(300), seed: seed() });
  // The property says nothing unless consumers did fall behind.
  assertEquals(resyncs > 10, true);
});

Deno.test("a pending iteration keeps the process alive; handlers and idle iterations do not", async () => {
  const code = (consume: string): string => `
    import { Broadcast } from "#/internal/events.ts";
    const events = new Broadcast({ resync: () => ({ type: "resync" }) });
    events.on("tick", () => {});
    events.subscribe(() => {});
    const iteration = events[Symbol.asyncIterator]();
    ${consume}
    Deno.unrefTimer(setTimeout(() => {
      console.log("alive");
      events.end();
    }, 50));
  `;
  assertEquals(await runCode(code("iteration.next();"), { flags: [] }), {
    code: 0,
    stdout: "alive\n",
    stderr: "",
  });
  assertEquals(await runCode(code(""), { flags: [] }), { code: 0, stdout: "", stderr: "" });
});
