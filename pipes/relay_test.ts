import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeTestAuthority } from "../testing/certificates.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { BasePipe, type PipeOptions } from "./_base_pipe.ts";
import { type Framer, lengthPrefix, lines } from "./framing.ts";
import type { Link } from "./_link.ts";
import { memoryLinks } from "./_memory_link.ts";
import type { Pipe } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";
import { relay } from "./relay.ts";
import { connect, listen } from "./ws.ts";

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

/** Two ends of a pipe within the process. */
function memoryPair(options: PipeOptions = {}): readonly [Pipe, Pipe] {
  const [a, b] = memoryLinks("test");
  return [new BasePipe(a, options) as unknown as Pipe, new BasePipe(b, options) as unknown as Pipe];
}

/** Two ends of a pipe over some transport. */
async function pair(url: string, framing?: Framer): Promise<readonly [Pipe, Pipe]> {
  const options = framing ? { framing } : {};
  await using server = await listen(url, options);
  const client = await connect(server.url, options);
  // A UDP server learns of a client by its first datagram.
  if (client.transport === "udp") await client.send("hello");
  const accepted = await server[Symbol.asyncIterator]().next();
  if (accepted.done) throw new Error("Cannot go on: nobody was accepted");
  if (client.transport === "udp") assertEquals(text(await accepted.value.recv()), "hello");
  return [client, accepted.value];
}

/** All that comes, until the end. */
async function rest(pipe: Pipe): Promise<string> {
  let all = "";
  for await (const data of pipe.messages) all += text(data);
  return all;
}

Deno.test("relay() passes on both ways, carries the end of each direction, and counts", async () => {
  const [client, a] = memoryPair();
  const [b, server] = memoryPair();
  const relaying = relay(a, b);
  await client.send("question");
  assertEquals(text(await server.recv()), "question");
  await client.closeWrite();
  assertEquals(await server.recv(), null);
  await server.send("the answer, ");
  await server.send("after the question's end");
  await server.closeWrite();
  assertEquals(await rest(client), "the answer, after the question's end");
  const { aToB, bToA, failure } = await relaying;
  assertEquals(aToB, { bytes: 8, messages: 1, dropped: 0, ended: true });
  assertEquals([bToA.bytes, bToA.dropped, bToA.ended, failure], [36, 0, true, null]);
  assertEquals([a.state.type, b.state.type], ["closed", "closed"]);
  await Promise.all([client.close(), server.close()]);
});

for (const transport of ["tcp", "unix"]) {
  Deno.test(`an end passes through a relay over ${transport} while the other direction goes on`, async () => {
    const folder = await Deno.makeTempDir();
    const url = transport === "unix" ? `unix:${folder}/relay.sock` : "tcp://127.0.0.1:0";
    const [client, a] = await pair(url);
    const [b, server] = await pair(url);
    await Deno.remove(folder, { recursive: true });
    const relaying = relay(a, b);
    await server.send("first");
    await server.closeWrite();
    assertEquals(await rest(client), "first");
    await client.send("second");
    await client.close();
    assertEquals(await rest(server), "second");
    await server.close();
    const { aToB, bToA, failure } = await relaying;
    assertEquals([aToB.bytes, bToA.bytes, failure], [6, 5, null]);
  });
}

Deno.test("messages stay apart through a relay, although each end frames them its own way", async () => {
  const [client, a] = memoryPair({ framing: lines() });
  const [b, server] = memoryPair({ framing: lengthPrefix() });
  const relaying = relay(a, b);
  const sent = ["one", "", "three", "x".repeat(100_000)];
  for (const message of sent) await client.send(message);
  await client.close();
  const received: (string | null)[] = [];
  for await (const message of server.messages) received.push(text(message));
  assertEquals(received, sent);
  await server.close();
  assertEquals((await relaying).aToB, { bytes: 100_008, messages: 4, dropped: 0, ended: true });
});

Deno.test("datagrams become messages of a stream, and the other way round", async () => {
  const [client, a] = await pair("udp://127.0.0.1:0");
  const [b, server] = await pair("tcp://127.0.0.1:0", lengthPrefix());
  const relaying = relay(a, b);
  await client.send("a datagram");
  assertEquals(text(await server.recv()), "a datagram");
  await server.send("two");
  await server.send("messages");
  assertEquals([text(await client.recv()), text(await client.recv())], ["two", "messages"]);
  // UDP has no end: the stream's closes it.
  await server.close();
  const { aToB, bToA, failure } = await relaying;
  assertEquals([aToB.messages, bToA.messages, failure], [1, 2, null]);
  assertEquals(a.state.type, "closed");
  await client.close();
});

Deno.test("what a WebSocket and a stream say passes between them, and the end of one is the end of the other", async () => {
  for (const first of ["stream", "socket"]) {
    const [client, a] = await pair("tcp://127.0.0.1:0", lines());
    const [b, server] = await pair("ws://127.0.0.1:0");
    const relaying = relay(a, b);
    await client.send("question");
    assertEquals(text(await server.recv()), "question");
    await server.send("answer");
    assertEquals(text(await client.recv()), "answer");
    const [one, other] = first === "stream" ? [client, server] : [server, client];
    await one.close();
    assertEquals(await other.recv(), null);
    await other.close();
    const { aToB, bToA, failure } = await relaying;
    assertEquals([aToB.messages, bToA.messages, failure], [1, 1, null]);
  }
});

Deno.test("a reset at one end is a reset at the other, and the report names the end that failed first", async () => {
  const [client, a] = await pair("tcp://127.0.0.1:0");
  const [b, server] = await pair("tcp://127.0.0.1:0");
  const relaying = relay(a, b);
  await client.send("half of it");
  assertEquals(text(await server.recv()), "half of it");
  server.abort();
  const { failure, bToA } = await relaying;
  assertEquals([failure?.pipe, bToA.ended], ["b", false]);
  assert(failure?.error instanceof PipeError);
  assertEquals([failure.error.code, failure.error.failure?.kind], ["lost", "reset"]);
  const lost = await assertRejects(() => client.recv(), PipeError);
  assertEquals([lost.code, lost.failure?.kind], ["lost", "reset"]);
});

Deno.test("what TLS says was cut off is no end: the relay reports it, and resets the other end", async () => {
  const authority = await makeTestAuthority();
  const tls = await authority.issue({ names: ["127.0.0.1"] });
  await using inner = await startFaultServer({ fault: { type: "close-without-notify", after: 4 }, tls });
  const [client, a] = await pair("tcp://127.0.0.1:0");
  const b = await connect(`tls://127.0.0.1:${inner.port}`, { tls: { caCerts: [authority.cert] } });
  const relaying = relay(a, b);
  await client.send("ping");
  assertEquals(text(await client.recv()), "ping");
  const lost = await assertRejects(() => client.recv(), PipeError);
  assertEquals([lost.code, lost.failure?.kind], ["lost", "reset"]);
  const { failure, bToA } = await relaying;
  assertEquals([failure?.pipe, bToA.bytes, bToA.ended], ["b", 4, false]);
  assert(failure?.error instanceof PipeError);
  assertEquals(failure.error.failure?.scenario, "tls-truncated");
});

Deno.test("an early answer is passed on in full, and what came too late is counted", async () => {
  const [client, a] = await pair("tcp://127.0.0.1:0");
  const [b, server] = await pair("tcp://127.0.0.1:0");
  const relaying = relay(a, b);
  const sending = (async () => {
    for (let sent = 0;; sent += 65_536) await client.send(new Uint8Array(65_536));
  })();
  await server.recv();
  await server.send("too large");
  // With bytes of the other end unread that is a reset behind the answer.
  await server.close();
  const stopped = await assertRejects(() => sending, PipeError);
  assert(stopped.code === "lost" || stopped.code === "closed", stopped.code);
  assertEquals(text(await client.recv()), "too large");
  const report = await relaying;
  assert(report.bToA.bytes === 9 && report.failure?.pipe === "b", JSON.stringify(report));
  await client.close();
});

/** A link that refuses all writes; there is this to read when it is time, and then an end. */
function refusing(error: Error, answer: string, when: Promise<void>): Link {
  const [{ localAddress, remoteAddress }] = memoryLinks("refusing");
  const left = [new TextEncoder().encode(answer)];
  return {
    transport: "memory",
    unit: "bytes",
    halfClose: true,
    localAddress,
    remoteAddress,
    read: () => when.then(() => left.shift() ?? null),
    write: () => Promise.reject(error),
    closeWrite: () => Promise.resolve(),
    close: () => Promise.resolve(),
    abort: () => {},
  };
}

Deno.test("what lies behind a refused write is passed on with its end, and what came too late is counted", async () => {
  const [client, a] = memoryPair();
  const broken = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  const late = Promise.withResolvers<void>();
  const b = new BasePipe(refusing(broken, "401", late.promise)) as unknown as Pipe;
  const relaying = relay(a, b);
  for (const question of ["question", "and more", "and more"]) {
    await client.send(question);
    // All that follows from it within this process.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  late.resolve();
  assertEquals(text(await client.recv()), "401");
  assertEquals(await client.recv(), null);
  const { failure, aToB, bToA } = await relaying;
  assertEquals(failure?.pipe, "b");
  assertEquals(aToB, { bytes: 8, messages: 1, dropped: 16, ended: false });
  assertEquals(bToA, { bytes: 3, messages: 1, dropped: 0, ended: true });
  await client.close();
});

Deno.test("whoever can be told no more is closed at once, although the other end is still being closed", async () => {
  const clock = new FakeClock();
  const [client, a] = memoryPair();
  const [link] = memoryLinks("stuck");
  const address = { transport: "ws", hostname: "stuck", port: 1 } as const;
  const asked = Promise.withResolvers<void>();
  const b = new BasePipe({
    transport: "ws",
    unit: "message",
    halfClose: false,
    localAddress: address,
    remoteAddress: address,
    read: () => asked.promise.then(() => null),
    write() {
      asked.resolve();
      return new Promise(() => {});
    },
    closeWrite: () => Promise.resolve(),
    close: () => link.close(),
    abort: () => link.abort(),
  }, { clock }) as unknown as Pipe;
  const relaying = relay(a, b);
  await client.send("never taken");
  assertEquals(await client.recv(), null);
  await a.closed;
  assertEquals(b.state.type, "open");
  await clock.tickAsync(5000);
  assertEquals((await relaying).bToA.ended, true);
  await client.close();
});

for (const [name, framing] of [["bytes", undefined], ["messages", lengthPrefix()]] as const) {
  for (const url of ["memory:relay", "tcp://127.0.0.1:0", "ws://127.0.0.1:0"]) {
    Deno.test(`a reader that never reads holds the sender of ${name} back through a relay over ${url.split(":")[0]}`, async () => {
      const [client, a] = await pair(url, framing);
      const [b, server] = await pair(url, framing);
      const relaying = relay(a, b);
      const chunk = new Uint8Array(32 * 1024).map((_, at) => at % 251);
      const total = 2048;
      let sent = 0;
      const sending = (async () => {
        for (; sent < total; sent++) await client.send(chunk);
        await client.close();
      })();
      await stalled(() => sent + b.stats.bytesSent);
      assert(sent < total, `all ${total} were taken although nobody reads`);
      // What the relay itself holds: what may wait to be sent, one message above that, and one that was read.
      assert(b.bufferedAmount <= 64 * 1024 + 2 * chunk.length, `${b.bufferedAmount} bytes wait`);
      assert(a.stats.bytesReceived - b.stats.bytesSent <= 64 * 1024 + 3 * chunk.length);
      let received = 0;
      let wrong = 0;
      for await (const data of server.messages) {
        for (let at = 0; at < data.length; at += 509) {
          if (data[at] !== (received + at) % chunk.length % 251) wrong++;
        }
        received += data.length;
      }
      await sending;
      await server.close();
      assertEquals([received, wrong], [total * chunk.length, 0]);
      assertEquals((await relaying).aToB.bytes, total * chunk.length);
    });
  }
}

Deno.test("a relay that is called off ends both pipes at once, and rejects with the reason", async () => {
  for (const early of [false, true]) {
    const [client, a] = memoryPair();
    const [b, server] = memoryPair();
    const stop = new AbortController();
    const reason = new Error("enough");
    if (early) stop.abort(reason);
    const relaying = assertRejects(() => relay(a, b, { signal: stop.signal }), Error, "enough");
    stop.abort(reason);
    assertEquals(await relaying, reason);
    assertEquals([a.state.type, b.state.type], ["failed", "failed"]);
    const lost = await Promise.all(
      [client, server].map((pipe) => assertRejects(() => pipe.recv(), PipeError)),
    );
    assertEquals(lost.map(({ failure }) => failure?.kind), ["reset", "reset"]);
  }
});

Deno.test("a message that the other end cannot carry ends the relay, and is named", async () => {
  const [client, a] = memoryPair({ framing: lengthPrefix() });
  const [b, server] = memoryPair({ framing: lines() });
  const relaying = relay(a, b);
  await client.send("two\nlines");
  const { failure, aToB } = await relaying;
  assertEquals([failure?.pipe, aToB.bytes, aToB.dropped], ["b", 0, 9]);
  assert(failure?.error instanceof RangeError);
  await assertRejects(() => client.recv(), PipeError);
  await assertRejects(() => server.recv(), PipeError);
});

Deno.test("a pipe that was closed by somebody else ends the relay in peace", async () => {
  const [client, a] = memoryPair();
  const [b, server] = memoryPair();
  const relaying = relay(a, b);
  await client.send("x");
  assertEquals(text(await server.recv()), "x");
  await b.close();
  assertEquals(await client.recv(), null);
  assertEquals((await relaying).failure, null);
  await Promise.all([client.close(), server.close()]);
});

Deno.test("relay() refuses one pipe for both ends, and pipes that somebody else reads", async () => {
  const [client, a] = memoryPair();
  await assertRejects(() => relay(a, a), TypeError, "both ends are the same pipe");
  const [b, server] = memoryPair();
  const other = a.recv();
  other.catch(() => {});
  await assertRejects(() => relay(a, b), TypeError, "recv() of this pipe is reading already");
  await Promise.all([client.close(), server.close()]);
});

/** Resolves when a number has stood still for fifty turns of the event loop. */
async function stalled(number: () => number): Promise<void> {
  let last = number();
  for (let still = 0; still < 50; still++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (number() !== last) still = 0;
    last = number();
  }
}
