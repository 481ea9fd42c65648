/** What every pipe does, whatever carries it: one suite, run against each transport. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import type { PipeOptions } from "../pipes/_base_pipe.ts";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import { listen, type ListenOptions } from "../pipes/listen.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { PipeError } from "../pipes/pipe_error.ts";
import { descriptorsOf, eventually } from "./_child.ts";
import { scale } from "./_require.ts";

/** Two pipes that are each other's end, and what is closed after them. */
export interface PipePair extends AsyncDisposable {
  /** One end. */
  readonly a: Pipe;
  /** The other. */
  readonly b: Pipe;
}

/** A transport, as the suite needs it. */
export interface PipeSubject {
  /** Its name, for the names of the tests. */
  readonly name: string;
  /** Makes two connected pipes, both with these options. */
  pair(options: PipeOptions): Promise<PipePair>;
  /** Whether it keeps the boundaries of messages, or needs framing for that. */
  readonly unit: "bytes" | "message";
  /** Whether nothing is lost on the way and an end arrives; a datagram has neither. */
  readonly reliable: boolean;
  /** Whether one direction can be closed alone. */
  readonly halfClose: boolean;
  /** Whether the other end can tell an abort from an end. */
  readonly resets: boolean;
  /** Makes a pipe of what `detach()` gave; missing where it gives nothing. */
  readonly adopt?: (connection: unknown) => Promise<Pipe>;
}

/** Connects to a server that is made for it. */
export async function connectedPair(
  url: string,
  options: { readonly connect?: ConnectOptions; readonly listen?: ListenOptions },
): Promise<PipePair> {
  const server = await listen(url, options.listen);
  const [a, b] = await Promise.all([connect(server.url, options.connect), first(server)]);
  return {
    a,
    b,
    async [Symbol.asyncDispose]() {
      await Promise.all([a.close(), b.close()]);
      await server.close();
    },
  };
}

/** The next pipe of a server. */
export async function first<P>(server: AsyncIterable<P>): Promise<P> {
  for await (const pipe of server) return pipe;
  throw new Error("Cannot accept: the server was closed");
}

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

/** Registers the suite. */
export function pipeContract(subject: PipeSubject): void {
  const { name, unit, reliable, halfClose, resets } = subject;
  const framed: PipeOptions = unit === "bytes" ? { framing: lengthPrefix() } : {};
  // What a transport is not meant to do is no test that was skipped.
  const test = (what: string, fn: () => Promise<void>, without = false): void => {
    if (!without) Deno.test({ name: `${name}: ${what}`, fn });
  };

  test("messages arrive as they were sent, in both directions", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    await a.send("hello");
    assertEquals(text(await b.recv()), "hello");
    await b.send(new Uint8Array([0, 255, 1]));
    assertEquals(await a.recv(), new Uint8Array([0, 255, 1]));
    assertEquals([a.transport, b.transport], [name, name].map((text) => text.split(" ")[0]));
  });

  test("a timeout, an abort, an end and a failure are four different things", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const late = await assertRejects(() => b.recv({ timeout: 1 }), PipeError);
    assertEquals(late.code, "timeout");
    const stop = new AbortController();
    const stopped = assertRejects(() => b.recv({ signal: stop.signal }), Error, "enough");
    stop.abort(new Error("enough"));
    await stopped;
    // None of that has cost a message.
    await a.send("still here");
    assertEquals(text(await b.recv()), "still here");
    if (!reliable) return;
    await a.close();
    assertEquals(await b.recv(), null);
    assertEquals(await b.recv(), null);
    if (!resets) return;
    await using other = await subject.pair(framed);
    const waiting = assertRejects(() => other.b.recv(), PipeError);
    other.a.abort();
    const lost = await waiting;
    assertEquals([lost.code, lost.failure !== null], ["lost", true]);
    assertEquals(other.b.state.type, "failed");
  });

  test("closing ends a waiting recv() at once", async () => {
    await using pair = await subject.pair(framed);
    const waiting = assertRejects(() => pair.b.recv(), PipeError);
    await pair.b.close();
    assertEquals((await waiting).code, "closed");
    assertEquals(pair.b.state, { type: "closed" });
    await pair.b.closed;
  });

  test("closing twice at once is closing, and nothing can be sent after that", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    await Promise.all([a.close(), a.close(), b.close(), b.close()]);
    await a.close();
    for (const pipe of [a, b]) {
      const error = await assertRejects(() => pipe.send("late"), PipeError, "Cannot send to");
      assertEquals(error.code, "closed");
      await pipe.closed;
    }
  });

  test("one direction can end while the other goes on", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    await a.send("question");
    await a.closeWrite();
    assertEquals(text(await b.recv()), "question");
    assertEquals(await b.recv(), null);
    assertEquals((await assertRejects(() => a.send("more"), PipeError)).code, "closed");
    await b.send("answer");
    assertEquals(text(await a.recv()), "answer");
    await b.closeWrite();
    assertEquals(await a.recv(), null);
    await Promise.all([a.closed, b.closed]);
  }, !halfClose);

  test("what was sent before closing arrives, although the other end sends what nobody reads", async () => {
    await using pair = await subject.pair({});
    const { a, b } = pair;
    await b.send(new Uint8Array(1000));
    await eventually("the bytes to be on their way", () => b.stats.bytesSent === 1000);
    const size = 4 * 1024 * 1024;
    const sent = a.send(new Uint8Array(size)).then(() => a.close());
    let got = 0;
    for await (const part of b.messages) got += part.length;
    await sent;
    assertEquals(got, size);
  }, !reliable || unit === "message");

  test("a reader that never reads holds back the sender, and all arrives once it reads", async () => {
    const highWaterMark = 32 * 1024;
    await using pair = await subject.pair({ ...framed, highWaterMark, linger: 1 });
    const { a, b } = pair;
    const message = new Uint8Array(16 * 1024);
    const most = 64 * 1024 * 1024;
    let sent = 0;
    let stuck = false;
    let sending: Promise<void> = Promise.resolve();
    while (!stuck && sent < most) {
      sending = a.send(message).then(() => void (sent += message.length));
      stuck = await isSilent(sending, 300);
      assert(
        a.bufferedAmount <= highWaterMark + 2 * message.length,
        `${a.bufferedAmount} bytes are buffered`,
      );
    }
    assert(stuck, `${sent} bytes were taken, and nobody reads`);
    let received = 0;
    const reading = (async () => {
      while (received < sent || stuck) {
        received += (await b.recv())?.length ?? 0;
        if (received >= sent + message.length) stuck = false;
      }
    })();
    await sending;
    stuck = false;
    await reading;
    while (received < sent) received += (await b.recv())?.length ?? 0;
    assertEquals(received, sent);
  }, !reliable);

  test("the end is told once, to those who come late as well", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const told: string[] = [];
    b.on("end", () => told.push("early"));
    await a.close();
    assertEquals(await b.recv(), null);
    b.on("end", () => told.push("late"));
    await b.close();
    b.on("end", () => told.push("last"));
    assertEquals(told, ["early", "late", "last"]);
  }, !reliable);

  test("a handler that throws harms nobody and is told; one that stalls holds back its own pipe only", async () => {
    await using pair = await subject.pair(framed);
    await using other = await subject.pair(framed);
    const errors: unknown[] = [];
    const got: string[] = [];
    const twice = Promise.withResolvers<void>();
    pair.b.on("error", ({ error, fatal }) => errors.push([(error as Error).message, fatal]));
    pair.b.on("message", ({ data }) => {
      got.push(text(data) ?? "");
      if (got.length === 2) twice.resolve();
      throw new Error(`Cannot handle ${text(data)}`);
    });
    const stall = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const order: string[] = [];
    const ended = Promise.withResolvers<void>();
    other.b.on("message", async ({ data }) => {
      order.push(`begin ${text(data)}`);
      begun.resolve();
      await stall.promise;
      order.push(`end ${text(data)}`);
      if (text(data) === "2") ended.resolve();
    });
    await other.a.send("1");
    await other.a.send("2");
    await begun.promise;
    await pair.a.send("one");
    await pair.a.send("two");
    await twice.promise;
    assertEquals(got, ["one", "two"]);
    await eventually("both errors to be told", () => errors.length === 2);
    assertEquals(errors, [["Cannot handle one", false], ["Cannot handle two", false]]);
    assertEquals(order, ["begin 1"]);
    stall.resolve();
    await ended.promise;
    assertEquals(order, ["begin 1", "end 1", "begin 2", "end 2"]);
  });

  test("subscriptions get what they ask for, and what nobody wants is counted", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    using numbers = b.subscribe(/^\d+$/);
    using long = b.subscribe(({ data }) => data.length > 3);
    for (const message of ["12", "abcd", "x", "34567"]) await a.send(message);
    const take = async (from: AsyncIterable<{ data: Uint8Array }>, count: number): Promise<string[]> => {
      const taken: string[] = [];
      for await (const { data } of from) {
        taken.push(text(data) ?? "");
        if (taken.length === count) break;
      }
      return taken;
    };
    const [byPattern, byFunction] = await Promise.all([take(numbers, 2), take(long, 2)]);
    assertEquals([byPattern, byFunction], [["12", "34567"], ["abcd", "34567"]]);
    assertEquals([numbers.matched, long.matched, b.stats.unmatched], [2, 2, 1]);
  });

  test("its streams carry a megabyte there and back unchanged", async () => {
    await using pair = await subject.pair({});
    const { a, b } = pair;
    const bytes = new Uint8Array(1024 * 1024);
    for (let n = 0; n < bytes.length; n += 65_536) crypto.getRandomValues(bytes.subarray(n, n + 65_536));
    const echo = b.readable.pipeTo(b.writable);
    const parts = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let n = 0; n < bytes.length; n += 10_007) controller.enqueue(bytes.subarray(n, n + 10_007));
        controller.close();
      },
    });
    const [back] = await Promise.all([new Response(a.readable).bytes(), parts.pipeTo(a.writable)]);
    await echo;
    assertEquals(back, bytes);
  }, !halfClose || !reliable);

  test("messages of all sizes keep their boundaries and their order", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const sizes = [0, 1, 2, 255, 256, 1000, 20_000, 65_535, 65_536, 200_000];
    const count = scale(200, 2000);
    const sending = (async () => {
      for (let n = 0; n < count; n++) {
        const message = new Uint8Array(sizes[n % sizes.length] ?? 0).fill(n);
        await a.send(message);
      }
    })();
    for (let n = 0; n < count; n++) {
      const message = await b.recv();
      const size = sizes[n % sizes.length] ?? 0;
      assertEquals(message?.length, size);
      assert(message?.every((byte) => byte === n % 256), `message ${n} is another one`);
    }
    await sending;
    assertEquals(b.stats.messagesReceived, count);
  }, !reliable);

  test("a small message may be changed by its owner as soon as send() was called", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const buffer = new TextEncoder().encode("before");
    const sent = [a.send(buffer)];
    buffer.fill(33);
    sent.push(a.send(buffer));
    await Promise.all(sent);
    assertEquals([text(await b.recv()), text(await b.recv())], ["before", "!!!!!!"]);
  });

  test("what was sent and received is counted", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    for (const message of ["one", "two", "three"]) await a.send(message);
    for (let n = 0; n < 3; n++) await b.recv();
    await a.flush();
    assertEquals([a.stats.messagesSent, b.stats.messagesReceived], [3, 3]);
    assertEquals(b.stats.bytesReceived, 11);
    assert(a.stats.bytesSent >= 11);
    assertEquals([a.bufferedAmount, a.stats.reconnects, b.stats.dropped], [0, 0, 0]);
  });

  test("there is one reader at a time", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const waiting = b.recv();
    await assertRejects(() => b.recv(), TypeError, "recv() of this pipe is reading already");
    assertThrows(() => b.subscribe(), TypeError, "reading already");
    await a.send("x");
    assertEquals(text(await waiting), "x");
  });

  test("aborting fails whoever waits, and the reason is kept", async () => {
    await using pair = await subject.pair(framed);
    const { a, b } = pair;
    const waiting = assertRejects(() => a.recv(), PipeError, "aborted (had enough)");
    const closed = assertRejects(() => a.closed, PipeError, "had enough");
    const reason = new Error("had enough");
    a.abort(reason);
    assertEquals([(await waiting).code, (await closed).cause], ["aborted", reason]);
    assertEquals((await assertRejects(() => a.send("x"), PipeError)).code, "aborted");
    if (!reliable) return;
    // The other end learns that it is over, by an end or a loss.
    const end = await b.recv().catch((error) => error);
    if (resets) assertInstanceOf(end, PipeError);
    else assert(end === null || end instanceof PipeError);
  });

  test("a connection that is given away lives on, with what was not read", async () => {
    const { adopt } = subject;
    await using pair = await subject.pair({});
    const { a, b } = pair;
    if (!adopt) {
      await assertRejects(() => b.detach(), TypeError, "Cannot give the connection away");
      return;
    }
    await a.send("first");
    assertEquals(text(await b.recv()), "first");
    const { connection, unread } = await b.detach();
    assertEquals([b.state.type, unread.length], ["closed", 0]);
    await using adopted = await adopt(connection);
    await a.send("second");
    assertEquals(text(await adopted.recv()), "second");
    await adopted.send("back");
    assertEquals(text(await a.recv()), "back");
  });

  test("nothing stays open when both ends are closed", async () => {
    // The first of a kind loads what the runtime keeps.
    await (await subject.pair(framed))[Symbol.asyncDispose]();
    const before = descriptorsOf();
    for (let n = 0; n < scale(10, 100); n++) {
      await using pair = await subject.pair(framed);
      await pair.a.send("hello");
      assertEquals(text(await pair.b.recv()), "hello");
      if (n % 3 === 0) pair.a.abort();
    }
    await eventually("all descriptors to be closed", () => descriptorsOf().length <= before.length);
  }, Deno.build.os !== "linux");
}

/** Whether nothing happens for a time; being late does no harm. */
async function isSilent(work: Promise<void>, milliseconds: number): Promise<boolean> {
  const over = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => over.resolve(true), milliseconds);
  try {
    return await Promise.race([work.then(() => false), over.promise]);
  } finally {
    clearTimeout(timer);
  }
}
