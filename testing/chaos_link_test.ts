import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BasePipe } from "../pipes/_base_pipe.ts";
import { connLink } from "../pipes/_conn_link.ts";
import { type ChaosLink, type ChaosLinkOptions, startChaosLink } from "./chaos_link.ts";
import { FakeClock } from "./fake_clock.ts";
import { startFaultServer } from "./fault_server.ts";

/** A server, a link to it, and one connection through. */
async function through(
  options: Omit<ChaosLinkOptions, "target">,
): Promise<
  AsyncDisposable & {
    link: ChaosLink;
    client: Deno.TcpConn;
    server: Deno.TcpConn;
    stack: AsyncDisposableStack;
  }
> {
  const stack = new AsyncDisposableStack();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const link = stack.use(await startChaosLink({ target: `127.0.0.1:${listener.addr.port}`, ...options }));
  const client = stack.adopt(await Deno.connect({ hostname: "127.0.0.1", port: link.port }), shut);
  const server = stack.adopt(await listener.accept(), shut);
  return { link, client, server, stack, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function shut(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch (error) {
    // The test has closed it, or its streams have.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Everything until the end, or so many bytes. */
async function readAll(conn: Deno.TcpConn, most = Infinity): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let length = 0; length < most;) {
    const buffer = new Uint8Array(Math.min(65_536, most - length));
    const count = await conn.read(buffer);
    if (count === null) break;
    parts.push(buffer.subarray(0, count));
    length += count;
  }
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

const pattern = (length: number): Uint8Array =>
  new Uint8Array(length).map((_, at) => (at * 7 + (at >> 8)) % 256);

/** Turns the clock step by step, as long as something is under way. */
async function turning<T>(clock: FakeClock, promise: Promise<T>, step = 10): Promise<T> {
  let settled = false;
  const done = promise.finally(() => settled = true);
  done.catch(() => {});
  while (!settled) {
    await clock.tickAsync(step);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return await done;
}

Deno.test("bytes keep their order through latency, jitter, slices and a narrow line, both ways at once", async () => {
  const clock = new FakeClock();
  const faults = { latency: 30, jitter: 50, bandwidth: 100_000, slice: 700, sliceDelay: 1 };
  await using all = await through({ clock, seed: 7, faults });
  const [request, answer] = [pattern(20_000), pattern(30_000).reverse()];
  const talk = Promise.all([
    writeAll(all.client, request).then(() => all.client.closeWrite()),
    writeAll(all.server, answer).then(() => all.server.closeWrite()),
    readAll(all.server),
    readAll(all.client),
  ]);
  const [, , atServer, atClient] = await turning(clock, talk);
  assertEquals(atServer, request);
  assertEquals(atClient, answer);
  const { up, down } = all.link.counts;
  assertEquals([up.bytes, down.bytes], [20_000, 30_000]);
  // 20,000 bytes in pieces of 1 to 700 are 57 on average; so many are at the same time what the pauses can cost.
  assert(up.pieces >= 20_000 / 700 && up.pieces < 500, `${up.pieces} pieces`);
  // 30,000 bytes at 100,000 a second, of which the first piece waits for nothing.
  assert(clock.monotonic() >= 290, `${clock.monotonic()} ms`);
});

Deno.test("the same seed cuts the same pieces, and another one others", async () => {
  const pieces = async (seed: number): Promise<number> => {
    await using all = await through({ seed, faults: { slice: 50 } });
    await writeAll(all.client, pattern(5000));
    await readAll(all.server, 5000);
    return all.link.counts.up.pieces;
  };
  const [a, b, c, d] = [await pieces(3), await pieces(3), await pieces(4), await pieces(5)];
  assertEquals(a, b);
  assert(a !== c || a !== d, `${a} ${c} ${d}`);
});

Deno.test("latency holds bytes back until their time, and none of them is lost when it changes", async () => {
  const clock = new FakeClock();
  await using all = await through({ clock, faults: { latency: 1000 } });
  await writeAll(all.client, new Uint8Array([1]));
  await until(() => clock.pending > 0);
  all.link.setFaults({});
  await writeAll(all.client, new Uint8Array([2]));
  const reading = readAll(all.server, 2);
  await clock.tickAsync(999);
  assertEquals(all.link.counts.up.bytes, 0);
  await clock.tickAsync(1);
  assertEquals(await reading, new Uint8Array([1, 2]));
});

Deno.test("a black hole takes everything and tells nobody, and gives it back when it closes", async () => {
  await using all = await through({});
  all.link.setFaults({ silent: true });
  await writeAll(all.client, new Uint8Array([1, 2]));
  await writeAll(all.server, new Uint8Array([3]));
  await all.client.closeWrite();
  const atServer = readAll(all.server);
  const atClient = readAll(all.client, 1);
  await turns();
  assertEquals(all.link.counts, { up: { bytes: 0, pieces: 0 }, down: { bytes: 0, pieces: 0 } });
  all.link.setFaults({});
  assertEquals([await atServer, await atClient], [new Uint8Array([1, 2]), new Uint8Array([3])]);
});

Deno.test("a half-open link is silent in one direction, and one that vanishes meanwhile is not missed", async () => {
  await using all = await through({ faults: { down: { silent: true } } });
  await writeAll(all.client, new Uint8Array([1]));
  assertEquals(await readAll(all.server, 1), new Uint8Array([1]));
  await writeAll(all.server, new Uint8Array([2]));
  await all.server.closeWrite();
  let heard = false;
  const reading = readAll(all.client).finally(() => heard = true);
  await turns();
  assert(!heard && all.link.counts.down.bytes === 0);
  all.link.setFaults({});
  assertEquals(await reading, new Uint8Array([2]));
});

Deno.test("after so many bytes both ends get a reset, and not one byte more", async () => {
  await using all = await through({ faults: { up: { resetAfter: 10 } } });
  await writeAll(all.client, pattern(25));
  assertEquals(await readAll(all.server, 10), pattern(25).subarray(0, 10));
  for (const end of [all.server, all.client]) {
    await assertRejects(() => end.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  }
  assertEquals(all.link.counts.up.bytes, 10);
});

Deno.test("a connection that may carry no byte is reset at once", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = `127.0.0.1:${listener.addr.port}`;
  await using link = await startChaosLink({ target, faults: { resetAfter: 0 } });
  await assertRejects(async () => {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
    await client.read(new Uint8Array(1));
  }, Deno.errors.ConnectionReset);
});

Deno.test("after so many bytes both ends see a regular end, however much more there was", async () => {
  await using all = await through({ faults: { up: { endAfter: 10 } } });
  const writing = writeAll(all.client, pattern(25)).catch(() => {});
  assertEquals(await readAll(all.server), pattern(25).subarray(0, 10));
  assertEquals(await readAll(all.client), new Uint8Array());
  await writing;
});

Deno.test("cut() resets or ends every connection that is open, and reset by one end reaches the other", async () => {
  {
    await using all = await through({});
    all.link.cut("reset");
    for (const end of [all.server, all.client]) {
      await assertRejects(() => end.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    }
  }
  {
    await using all = await through({});
    all.link.cut("end");
    assertEquals([await readAll(all.server), await readAll(all.client)], [
      new Uint8Array(),
      new Uint8Array(),
    ]);
  }
  {
    await using server = await startFaultServer({ fault: { type: "reset", after: 3 } });
    await using link = await startChaosLink({ target: `127.0.0.1:${server.port}` });
    using client = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
    await writeAll(client, new Uint8Array([1, 2, 3]));
    assertEquals(await readAll(client, 3), new Uint8Array([1, 2, 3]));
    await assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    await until(() => link.open === 0);
  }
});

Deno.test("an end may come late, and an end of one direction leaves the other one alone", async () => {
  const clock = new FakeClock();
  await using all = await through({ clock, faults: { up: { closeDelay: 5000 } } });
  await writeAll(all.client, new Uint8Array([1]));
  await all.client.closeWrite();
  assertEquals(await readAll(all.server, 1), new Uint8Array([1]));
  await until(() => clock.pending > 0);
  let ended = false;
  const reading = readAll(all.server).finally(() => ended = true);
  await clock.tickAsync(4999);
  await turns();
  assert(!ended);
  await clock.tickAsync(1);
  assertEquals(await reading, new Uint8Array());
  await writeAll(all.server, new Uint8Array([2]));
  await all.server.closeWrite();
  assertEquals(await readAll(all.client), new Uint8Array([2]));
  await until(() => all.link.open === 0);
});

Deno.test("a link that is silent holds the sender back at its buffer", async () => {
  await using all = await through({ faults: { silent: true }, buffer: 64 * 1024 });
  const pipe = new BasePipe(connLink(all.client));
  const chunk = pattern(64 * 1024);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 1024; sent++) await pipe.send(chunk);
    await pipe.closeWrite();
  })();
  let last = -1;
  for (let still = 0; still < 50; still++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (sent !== last) still = 0;
    last = sent;
  }
  assert(sent < 1024);
  all.link.setFaults({});
  let length = 0;
  for (let count: number | null = 0; count !== null; length += count) {
    count = await all.server.read(new Uint8Array(256 * 1024));
    if (count === null) break;
  }
  await sending;
  assertEquals(length, 1024 * chunk.length);
});

Deno.test("a target that is not there is a reset, and the link says how many connected", async () => {
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = gone.addr;
  gone.close();
  await using link = await startChaosLink({ target: `127.0.0.1:${port}` });
  const connected = link.connected(1);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: link.port });
  await connected;
  await assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  assertEquals(link.connections, 1);
  const waiting = assertRejects(() => link.connected(2), Error, "the chaos link is closed");
  await link.close();
  await waiting;
  await link.close();
});

Deno.test("faults that make no sense are refused, and those before stay", async () => {
  await assertRejects(
    () => startChaosLink({ target: "127.0.0.1:1", faults: { bandwidth: 0 } }),
    RangeError,
    "bandwidth must be 1 or more, got 0",
  );
  await using link = await startChaosLink({ target: "127.0.0.1:1", faults: { latency: 1 } });
  assertThrows(
    () => link.setFaults({ down: { latency: -1 } }),
    RangeError,
    "latency must be 0 or more, got -1",
  );
  assertEquals(link.faults, { latency: 1 });
  await assertRejects(() => startChaosLink({ target: "nowhere" }), TypeError, '"host:port"');
});

/** Enough turns of the event loop for what is under way on this machine to arrive. */
async function turns(): Promise<void> {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
