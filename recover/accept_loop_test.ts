import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { isExhausted } from "./_accept_error.ts";
import { type AcceptContext, acceptLoop, type AcceptLoopOptions } from "./accept_loop.ts";
import { classify } from "./classify.ts";

/** A connection that a test ends. */
class FakeConnection {
  closed = false;
  readonly remoteAddr: Deno.NetAddr;

  constructor(hostname = "192.0.2.1") {
    this.remoteAddr = { transport: "tcp", hostname, port: 50_000 };
  }

  close(): void {
    if (this.closed) throw new Deno.errors.BadResource("closed");
    this.closed = true;
  }
}

/** A listener that gives what a test pushes, in turn. */
class FakeListener {
  accepts = 0;
  closed = false;
  readonly #queue: (FakeConnection | Error)[] = [];
  #waiting: PromiseWithResolvers<FakeConnection> | undefined;

  push(...items: readonly (FakeConnection | Error)[]): void {
    this.#queue.push(...items);
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    this.accepts--;
    this.accept().then(waiting.resolve, waiting.reject);
  }

  accept(): Promise<FakeConnection> {
    this.accepts++;
    const item = this.#queue.shift();
    if (item instanceof Error) return Promise.reject(item);
    if (item) return Promise.resolve(item);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    this.closed = true;
    this.#waiting?.reject(new Deno.errors.BadResource("Listener has been closed"));
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code} (os error)`), { code });
}

/** A loop whose handlers wait until the test lets them go. */
function setUp(options: AcceptLoopOptions = {}) {
  const clock = new FakeClock();
  const listener = new FakeListener();
  const handled: { connection: FakeConnection; context: AcceptContext; done: PromiseWithResolvers<void> }[] =
    [];
  const loop = acceptLoop(listener, (connection: FakeConnection, context) => {
    const done = Promise.withResolvers<void>();
    handled.push({ connection, context, done });
    return done.promise;
  }, { clock, ...options });
  const events: string[] = [];
  loop.on("pause", ({ error, delay }) => {
    events.push(`pause ${(error as { code: string }).code}`);
    assert(delay >= 50 && delay <= 100, `${delay}`);
  });
  loop.on("shed", ({ reason }) => events.push(`shed ${reason}`));
  loop.on("expired", () => events.push("expired"));
  const settle = () => clock.tickAsync(0);
  return { clock, listener, loop, handled, events, settle };
}

Deno.test("acceptLoop() waits for what classify() calls exhausted, and for nothing else", () => {
  for (
    const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EINVAL", "EACCES"]
  ) {
    const { kind } = classify(failure(code), { operation: "accept" });
    assertEquals(isExhausted(failure(code)), kind === "exhausted", code);
  }
});

for (const code of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  Deno.test(`acceptLoop() pauses on ${code}, and accepts again`, async () => {
    const { clock, listener, loop, handled, events, settle } = setUp();
    listener.push(failure(code), failure(code), new FakeConnection());
    await settle();
    assertEquals([listener.accepts, events], [1, [`pause ${code}`]]);
    await clock.tickAsync(49);
    assertEquals(listener.accepts, 1);
    await clock.tickAsync(51);
    assertEquals([listener.accepts, events], [2, [`pause ${code}`, `pause ${code}`]]);
    await clock.tickAsync(100);
    assertEquals([handled.length, loop.connections, listener.closed], [1, 1, false]);
    await loop.close();
  });
}

Deno.test("acceptLoop() ends its pause when a connection of its own ends, which gives a descriptor back", async () => {
  const { clock, listener, loop, handled, events, settle } = setUp();
  listener.push(new FakeConnection(), failure("EMFILE"), new FakeConnection());
  await settle();
  assertEquals([handled.length, events], [1, ["pause EMFILE"]]);
  handled[0]?.done.resolve();
  await settle();
  assertEquals([handled.length, clock.pending], [2, 0]);
  await loop.close();
});

for (const code of ["ECONNABORTED", "EPROTO", "ENOTCONN"]) {
  Deno.test(`acceptLoop() passes over one ${code} at once, and pauses where it comes again and again`, async () => {
    const { clock, listener, loop, handled, events, settle } = setUp();
    listener.push(failure(code), new FakeConnection());
    await settle();
    assertEquals([handled.length, events], [1, []]);
    listener.push(failure(code), failure(code), failure(code));
    await settle();
    assertEquals([listener.accepts, events], [4, [`pause ${code}`]]);
    await clock.tickAsync(100);
    assertEquals(events, [`pause ${code}`, `pause ${code}`]);
    await loop.close();
  });
}

Deno.test("acceptLoop() ends, and says why, when the listener fails for good", async () => {
  const { listener, loop } = setUp();
  listener.push(failure("EINVAL"));
  await assertRejects(() => loop.closed, Error, "EINVAL");
  assert(listener.closed);
});

Deno.test("acceptLoop() closes a connection when its handler is done, unless the handler did", async () => {
  const { listener, loop, handled, settle } = setUp();
  const [one, two] = [new FakeConnection(), new FakeConnection()];
  listener.push(one, two);
  await settle();
  two.close();
  for (const { done } of handled) done.resolve();
  await settle();
  assertEquals([one.closed, two.closed, loop.connections], [true, true, 0]);
  await loop.close();
});

Deno.test("acceptLoop() goes on when a handler throws, and says so", async () => {
  const errors: unknown[] = [];
  const listener = new FakeListener();
  const clock = new FakeClock();
  await using loop = acceptLoop(listener, () => {
    throw new Error("a bug");
  }, { clock, onError: (error) => errors.push((error as Error).message) });
  const connections = [new FakeConnection(), new FakeConnection()];
  listener.push(...connections);
  await clock.tickAsync(0);
  assertEquals([errors, connections.map(({ closed }) => closed)], [["a bug", "a bug"], [true, true]]);
  assertEquals(loop.connections, 0);
});

Deno.test("acceptLoop() holds accepting back while there are as many connections as may be", async () => {
  const { listener, loop, handled, settle } = setUp({ maxConnections: 2 });
  listener.push(new FakeConnection(), new FakeConnection(), new FakeConnection());
  await settle();
  assertEquals([listener.accepts, handled.length, loop.connections], [2, 2, 2]);
  handled[0]?.done.resolve();
  await settle();
  assertEquals([listener.accepts, handled.length, loop.connections], [3, 3, 2]);
  await loop.close();
});

Deno.test("acceptLoop() closes what is too much at once where it is told to", async () => {
  const { listener, loop, handled, events, settle } = setUp({ maxConnections: 1, whenFull: "shed" });
  const [one, two] = [new FakeConnection(), new FakeConnection()];
  listener.push(one, two);
  await settle();
  assertEquals([one.closed, two.closed, handled.length, events], [false, true, 1, ["shed connections"]]);
  await loop.close();
});

Deno.test("silent-clients: acceptLoop() limits the connections of one address, a /64 in IPv6", async () => {
  const { listener, loop, handled, events, settle } = setUp({ maxPerAddress: 1 });
  listener.push(
    new FakeConnection("192.0.2.1"),
    new FakeConnection("192.0.2.1"),
    new FakeConnection("::ffff:192.0.2.7"),
    new FakeConnection("::ffff:192.0.2.8"),
    new FakeConnection("2001:db8:1:1::1"),
    new FakeConnection("2001:db8:1:1::2"),
    new FakeConnection("2001:db8:1:2::2"),
  );
  await settle();
  assertEquals([handled.length, events], [5, ["shed address", "shed address"]]);
  handled[0]?.done.resolve();
  await settle();
  listener.push(new FakeConnection("192.0.2.1"));
  await settle();
  assertEquals([handled.length, events.length], [6, 2]);
  await loop.close();
});

Deno.test("silent-clients: acceptLoop() cuts a client whose first message does not come in time", async () => {
  const { clock, listener, loop, handled, events, settle } = setUp({ firstMessageDeadline: 5000 });
  const [silent, talking] = [new FakeConnection(), new FakeConnection()];
  listener.push(silent, talking);
  await settle();
  handled[1]?.context.established();
  await clock.tickAsync(4999);
  assertEquals([silent.closed, events], [false, []]);
  await clock.tickAsync(1);
  assertEquals([silent.closed, talking.closed, events, loop.connections], [true, false, ["expired"], 1]);
  assertEquals(handled[0]?.context.signal.reason.name, "TimeoutError");
  await loop.close();
  assertEquals(clock.pending, 0);
});

Deno.test("acceptLoop() drains: nothing new, and what is open may end; what takes too long is cut", async () => {
  const { clock, listener, loop, handled, settle } = setUp();
  const [quick, slow] = [new FakeConnection(), new FakeConnection()];
  listener.push(quick, slow);
  await settle();
  const draining = loop.drain({ timeout: 1000 });
  assert(listener.closed);
  handled[0]?.done.resolve();
  await clock.tickAsync(999);
  assertEquals([quick.closed, slow.closed, loop.connections], [true, false, 1]);
  await clock.tickAsync(1);
  assertEquals([await draining, slow.closed, clock.pending], [1, true, 0]);
  assertEquals(handled[1]?.context.signal.reason.name, "AbortError");
  await loop.closed;
});

Deno.test("acceptLoop() drains by a signal, too, and says 0 where nothing had to be cut", async () => {
  const { listener, loop, handled, settle } = setUp();
  listener.push(new FakeConnection());
  await settle();
  const controller = new AbortController();
  const draining = loop.drain({ signal: controller.signal });
  controller.abort();
  assertEquals(await draining, 1);
  const other = setUp();
  other.listener.push(new FakeConnection());
  await other.settle();
  const ending = other.loop.drain();
  other.handled[0]?.done.resolve();
  assertEquals([await ending, handled.length], [0, 1]);
});

Deno.test("acceptLoop() closes by its signal, also during a pause, and leaves no timer", async () => {
  const controller = new AbortController();
  const { clock, listener, loop, events, settle } = setUp({ signal: controller.signal });
  listener.push(failure("EMFILE"));
  await settle();
  assertEquals([events, clock.pending], [["pause EMFILE"], 1]);
  controller.abort();
  await loop.closed;
  assertEquals([listener.closed, clock.pending], [true, 0]);
});

Deno.test("acceptLoop() closes by its signal while it waits for room, or when it was aborted before", async () => {
  const controller = new AbortController();
  const { listener, loop, settle } = setUp({ signal: controller.signal, maxConnections: 1 });
  const connection = new FakeConnection();
  listener.push(connection);
  await settle();
  controller.abort();
  await loop.closed;
  assert(connection.closed);
  const late = setUp({ signal: AbortSignal.abort() });
  await late.loop.closed;
  assertEquals([late.listener.closed, late.listener.accepts], [true, 0]);
});

Deno.test("acceptLoop() closes a connection that is accepted while it closes", async () => {
  const { listener, loop, handled } = setUp();
  const connection = new FakeConnection();
  listener.push(connection);
  await loop.close();
  assertEquals([connection.closed, handled.length], [true, 0]);
});

Deno.test("acceptLoop() refuses limits that make no sense", () => {
  const make = (options: AcceptLoopOptions) => () => acceptLoop(new FakeListener(), () => {}, options);
  assertThrows(
    make({ maxConnections: 0 }),
    RangeError,
    "maxConnections must be a whole number from 1, got 0",
  );
  assertThrows(make({ maxPerAddress: 1.5 }), RangeError, "maxPerAddress");
  assertThrows(make({ pause: -1 }), RangeError, "pause");
  assertThrows(make({ firstMessageDeadline: NaN }), RangeError, "firstMessageDeadline");
  assertThrows(make({ firstMessageDeadline: 5000 }), TypeError, "must take a second parameter");
  assertThrows(make({ whenFull: "drop" as "shed" }), TypeError, "whenFull");
});

for (const transport of ["tcp", "unix"] as const) {
  Deno.test({
    name: `acceptLoop() serves a real listener (${transport}), and leaves nothing open`,
    ignore: transport === "unix" && Deno.build.os === "windows",
    async fn() {
      const folder = await Deno.makeTempDir();
      const path = `${folder}/socket`;
      const listener = transport === "tcp"
        ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
        : Deno.listen({ transport: "unix", path });
      await using loop = acceptLoop<Deno.Conn>(listener, async (connection) => {
        await connection.readable.pipeTo(connection.writable);
      });
      const clients = await Promise.all(Array.from({ length: 20 }, async (_, at) => {
        const { addr } = listener;
        const client: Deno.Conn = addr.transport === "tcp"
          ? await Deno.connect({ hostname: addr.hostname, port: addr.port })
          : await Deno.connect({ transport: "unix", path });
        await client.write(new TextEncoder().encode(`hello ${at}`));
        await client.closeWrite();
        return await new Response(client.readable).text();
      }));
      assertEquals(clients, Array.from({ length: 20 }, (_, at) => `hello ${at}`));
      assertEquals(await loop.drain(), 0);
      await Deno.remove(folder, { recursive: true });
    },
  });
}
