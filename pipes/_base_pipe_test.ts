import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { BasePipe, type PipeOptions } from "./_base_pipe.ts";
import type { Link } from "./_link.ts";
import { memoryLinks } from "./_memory_link.ts";
import { fixed, type Framer, lengthPrefix, lines } from "./framing.ts";
import type { Packet } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

function pair(options: PipeOptions = {}): readonly [BasePipe, BasePipe] {
  const [a, b] = memoryLinks("test");
  return [new BasePipe(a, options), new BasePipe(b, options)];
}

Deno.test("what one end sends the other receives, and a clean end is null, again and again", async () => {
  const [a, b] = pair();
  await a.send("hello");
  assertEquals(text(await b.recv()), "hello");
  await b.send(new Uint8Array([1, 2]));
  assertEquals(await a.recv(), new Uint8Array([1, 2]));
  await a.close();
  assertEquals(await b.recv(), null);
  assertEquals(await b.recv(), null);
  await b.close();
  await Promise.all([a.closed, b.closed]);
});

Deno.test("recv() tells a timeout, an end, a failure and our own closing apart", async () => {
  const clock = new FakeClock();
  const [a, b] = pair({ clock });
  const late = assertRejects(() => b.recv({ timeout: 100 }), PipeError, "nothing came within 100 ms");
  clock.tick(100);
  assertEquals((await late).code, "timeout");

  const reason = new Error("no more");
  const stop = new AbortController();
  const stopped = assertRejects(() => b.recv({ signal: stop.signal }), Error, "no more");
  stop.abort(reason);
  await stopped;

  const waiting = b.recv();
  a.abort();
  const lost = await assertRejects(() => waiting, PipeError);
  assertEquals([lost.code, lost.failure?.kind], ["lost", "reset"]);
  assertEquals((await assertRejects(() => b.recv(), PipeError)).code, "lost");

  const [c, d] = pair();
  const pending = assertRejects(() => c.recv(), PipeError, "it is closed");
  await c.close();
  assertEquals((await pending).code, "closed");
  await d.close();
  await b.close();
});

Deno.test("a message that comes after a receiver gave up is the next one's", async () => {
  const clock = new FakeClock();
  const [a, b] = pair({ clock });
  const late = assertRejects(() => b.recv({ timeout: 10 }), PipeError);
  clock.tick(10);
  await late;
  await a.send("still here");
  assertEquals(text(await b.recv()), "still here");
  await Promise.all([a.close(), b.close()]);
});

Deno.test("there is one reader at a time, and the error names the other one", async () => {
  const [a, b] = pair();
  const first = b.recv();
  await assertRejects(() => b.recv(), TypeError, "recv() of this pipe is reading already");
  assertThrows(() => b.subscribe(), TypeError, "recv()");
  await a.send("x");
  await first;
  using subscription = b.subscribe();
  await assertRejects(() => b.recv(), TypeError, "a subscription of this pipe is reading already");
  subscription[Symbol.dispose]();
  const reader = b.readable.getReader();
  await assertRejects(() => b.recv(), TypeError, "readable of this pipe is reading already");
  reader.releaseLock();
  await a.send("y");
  assertEquals(text(await b.recv()), "y");
  await Promise.all([a.close(), b.close()]);
});

Deno.test("streams carry bytes both ways, and closing the writable closes one direction", async () => {
  const [a, b] = pair();
  const writer = a.writable.getWriter();
  await writer.write("over ");
  await writer.write("streams");
  await writer.close();
  assertEquals(await new Response(b.readable).text(), "over streams");
  await b.send("still open this way");
  assertEquals(text(await a.recv()), "still open this way");
  await b.close();
  assertEquals(await a.recv(), null);
  await a.close();
});

Deno.test("small messages that wait are joined, framed ones stay apart", async () => {
  const [a, b] = pair({ framing: lengthPrefix() });
  const expected = Array.from({ length: 1000 }, (_, i) => `message ${i}`);
  const sending = Promise.all(expected.map((message) => a.send(message)));
  const received: string[] = [];
  for await (const message of b.messages) {
    received.push(text(message) ?? "");
    if (received.length === expected.length) break;
  }
  await sending;
  assertEquals(received, expected);
  await Promise.all([a.close(), b.close()]);
});

Deno.test("both ends count the same messages and the same bytes, those of the application", async () => {
  const own: Framer = {
    name: "own",
    wrap: () => ({ head: new Uint8Array([1]), tail: new Uint8Array([2]) }),
    decoder: () => ({ push: (chunk) => [chunk], end: () => [] }),
  };
  for (const framing of [lengthPrefix(), lines(), fixed(3), own]) {
    const [a, b] = pair({ framing });
    // Those that wait for the first one go out together.
    await Promise.all(["one", "two", "six"].map((message) => a.send(message)));
    await a.flush();
    assertEquals([a.stats.messagesSent, a.stats.bytesSent], [3, 9], framing.name);
    if (framing === own) continue;
    for (let n = 0; n < 3; n++) await b.recv();
    assertEquals([b.stats.messagesReceived, b.stats.bytesReceived], [3, 9], framing.name);
    await Promise.all([a.close(), b.close()]);
  }
  const [a, b] = pair();
  await a.send(new Uint8Array(50_000));
  await a.send("");
  assertEquals([a.stats.messagesSent, a.stats.bytesSent], [2, 50_000]);
  await Promise.all([a.close(), b.close()]);
});

Deno.test("what the system never took is not counted as sent", async () => {
  const [link, far] = memoryLinks("test");
  const refused = Promise.withResolvers<void>();
  const stuck: Link = Object.assign(link, { write: () => refused.promise });
  const a = new BasePipe(stuck, { framing: lengthPrefix() });
  await a.send("first");
  await a.send("second");
  assertEquals([a.stats.messagesSent, a.stats.bytesSent, a.bufferedAmount], [0, 0, 19]);
  refused.reject(new Deno.errors.BrokenPipe("nobody is there"));
  far.abort();
  await assertRejects(() => a.flush(), PipeError);
  await assertRejects(() => a.closed, PipeError);
  assertEquals([a.stats.messagesSent, a.stats.bytesSent, a.bufferedAmount], [0, 0, 0]);
});

Deno.test("who sends more than fits waits until it was taken, and a sender can give up", async () => {
  const [a, b] = pair({ highWaterMark: 1000 });
  const chunk = new Uint8Array(40_000);
  await a.send(chunk);
  const stop = new AbortController();
  const waits = a.send(chunk);
  const stuck = assertRejects(() => a.send(chunk, { signal: stop.signal }), Error, "enough");
  const also = a.send("x");
  const before = a.bufferedAmount;
  stop.abort(new Error("enough"));
  await stuck;
  assertEquals(a.bufferedAmount, before - chunk.length);
  let bytes = 0;
  while (bytes < 2 * chunk.length + 1) bytes += (await b.recv())?.length ?? 0;
  await Promise.all([waits, also, a.flush()]);
  assertEquals([a.bufferedAmount, a.stats.bytesSent, a.stats.messagesSent], [0, bytes, 3]);
  await a.close();
  assertEquals(await b.recv(), null);
  await Promise.all([a.close(), b.close()]);
});

Deno.test("what was sent before closing arrives, and nothing can be sent after", async () => {
  const [a, b] = pair();
  const sent = a.send("last words");
  const closing = a.close();
  assertEquals(a.close(), closing);
  await sent;
  assertEquals(text(await b.recv()), "last words");
  await closing;
  const error = await assertRejects(() => a.send("more"), PipeError, "the pipe is closed");
  assertEquals(error.code, "closed");
  await b.close();
});

Deno.test("subscriptions get what they ask for by text, by function and by sender, and the rest is counted", async () => {
  const [a, b] = pair({ framing: lines() });
  using letters = b.subscribe(/^[a-z]+$/g);
  using long = b.subscribe(({ data }) => data.length > 3);
  using mine = b.subscribe({ from: b.remoteAddress });
  for (const line of ["abc", "12345", "abcdef", "xyz"]) await a.send(line);
  await a.close();
  const all = async (from: AsyncIterable<Packet>): Promise<unknown> => {
    const seen: unknown[] = [];
    for await (const { data } of from) seen.push(text(data));
    return seen;
  };
  assertEquals(await all(letters), ["abc", "abcdef", "xyz"]);
  assertEquals(await all(long), ["12345", "abcdef"]);
  assertEquals(await all(mine), ["abc", "12345", "abcdef", "xyz"]);
  assertEquals(b.stats.unmatched, 0);
  await b.close();

  const [c, d] = pair({ framing: lines() });
  using none = d.subscribe(/^nothing$/);
  await c.send("something");
  await c.close();
  assertEquals(await all(none), []);
  assertEquals(d.stats.unmatched, 1);
  await d.close();
});

Deno.test("handlers are called in order and one at a time; one that throws harms nobody and is told", async () => {
  const [a, b] = pair({ framing: lines() });
  const log: string[] = [];
  const errors: unknown[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  b.on("error", ({ error, fatal }) => errors.push([String(error), fatal]));
  b.on("message", async ({ data }) => {
    log.push(`begin ${text(data)}`);
    await Promise.resolve();
    log.push(`end ${text(data)}`);
    if (text(data) === "3") resolve();
  });
  b.on("message", ({ data }) => {
    throw new Error(`no ${text(data)}`);
  });
  for (const line of ["1", "2", "3"]) await a.send(line);
  await done;
  assertEquals(log, ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]);
  await Promise.all([a.close(), b.close()]);
  assertEquals(errors, [["Error: no 1", false], ["Error: no 2", false], ["Error: no 3", false]]);
});

Deno.test("a subscriber that does not read holds the sender back, and drops when told to", async () => {
  const [a, b] = pair({ framing: lines(), queue: { messages: 4 }, highWaterMark: 100 });
  using slow = b.subscribe();
  let sent = 0;
  const { promise: full, resolve } = Promise.withResolvers<void>();
  const sending = (async () => {
    for (let i = 0; i < 5000; i++) {
      const more = a.send("x".repeat(1000));
      if (a.bufferedAmount > 100) resolve();
      await more;
      sent++;
    }
  })();
  await full;
  assert(sent < 5000, `${sent} messages went out although nobody reads`);
  let read = 0;
  for await (const _ of slow) if (++read === 5000) break;
  await sending;
  await Promise.all([a.close(), b.close()]);

  const [c, d] = pair({ framing: lines(), queue: { messages: 4, policy: "drop-oldest" } });
  const lossy = d.subscribe();
  for (let i = 0; i < 10; i++) await c.send(String(i));
  await c.close();
  await new Promise<void>((resolve) => d.on("end", () => resolve()));
  const kept: unknown[] = [];
  for await (const { data } of lossy) kept.push(text(data));
  assertEquals(kept, ["6", "7", "8", "9"]);
  assertEquals(d.stats.dropped, 6);
});

Deno.test("the end is told once, also to those who come late, and an end without reader is noticed", async () => {
  const [a, b] = pair();
  const ends: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  b.on("end", () => (ends.push("early"), resolve()));
  await a.close();
  await ended;
  b.on("end", () => void ends.push("late"));
  assertEquals(ends, ["early", "late"]);
  await b.close();
});

Deno.test("a broken frame ends the pipe with an error of the protocol", async () => {
  const [a, b] = memoryLinks("test");
  const pipe = new BasePipe(a, { framing: lengthPrefix() });
  await b.write(new Uint8Array([0xff, 0xff, 0xff, 0xff]));
  assertEquals((await assertRejects(() => pipe.recv(), PipeError)).code, "protocol");
  assertEquals(pipe.state.type, "failed");
  await assertRejects(() => pipe.closed, PipeError);
  await pipe.close();
});

Deno.test("a lost connection can be replaced, and those who wait go on", async () => {
  const [first, firstFar] = memoryLinks("first");
  const [second, secondFar] = memoryLinks("second");
  const pipe = new BasePipe(first, { framing: lines() }, {
    lost: () => Promise.resolve<Link>(second),
    ended() {},
  });
  const ups: number[] = [];
  pipe.on("up", ({ reconnects }) => ups.push(reconnects));
  const waiting = pipe.recv();
  firstFar.abort();
  await secondFar.write(new TextEncoder().encode("again\n"));
  assertEquals(text(await waiting), "again");
  assertEquals(ups, [0, 1]);
  assertEquals(pipe.stats.reconnects, 1);
  await pipe.send("back");
  assertEquals(text(await secondFar.read(new Uint8Array(10))), "back\n");
  await pipe.close();
});

Deno.test("closing takes its time although reading fails at once meanwhile", async () => {
  const [link, other] = memoryLinks("test");
  const over = Promise.withResolvers<never>();
  const slow: Link = Object.assign(Object.create(link), {
    read: () => over.promise,
    // The goodbye of the other end takes a turn of the event loop.
    close: async () => {
      over.reject(new Deno.errors.Interrupted("the connection was closed"));
      await new Promise((resolve) => setTimeout(resolve, 0));
      link.abort();
    },
  });
  const pipe = new BasePipe(slow);
  const reading = assertRejects(() => pipe.recv(), PipeError, "it is closed");
  await pipe.close();
  await reading;
  other.abort();
});
