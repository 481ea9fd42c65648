import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import {
  type HttpServer,
  ServerSupervisor,
  type StartOptions,
  type SupervisorOptions,
} from "./_server_supervisor.ts";
import { serve } from "./serve.ts";

const ADDR: Deno.NetAddr = { transport: "tcp", hostname: "192.0.2.1", port: 8080 };

/** A server that ends when a test says so. */
class FakeServer implements HttpServer {
  readonly addr = ADDR;
  readonly ended: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly finished = this.ended.promise;
  shutdowns = 0;

  constructor(readonly handler: Deno.ServeHandler<Deno.NetAddr>, readonly options: StartOptions) {
    options.signal.addEventListener("abort", () => this.ended.resolve());
  }

  shutdown(): Promise<void> {
    this.shutdowns++;
    this.ended.resolve();
    return this.finished.catch(() => {});
  }

  /** A request whose answer is sent when the test resolves what it gets. */
  async ask(): Promise<{ response: Response; sent: PromiseWithResolvers<void> }> {
    const sent = Promise.withResolvers<void>();
    const request = new Request("http://192.0.2.1/");
    const response = await this.handler(request, { remoteAddr: ADDR, completed: sent.promise });
    return { response, sent };
  }
}

function errorOf(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function setUp(options: Partial<SupervisorOptions> = {}, answer: () => Response = () => new Response("ok")) {
  const clock = new FakeClock();
  const starts: FakeServer[] = [];
  const failures: Error[] = [];
  const complete: SupervisorOptions = {
    maxInFlight: Infinity,
    retryAfter: 1,
    pause: 50,
    oldConnections: "auto",
    signal: undefined,
    clock,
    ...options,
  };
  const server = new ServerSupervisor(answer, complete, (handler, options) => {
    const failure = failures.shift();
    if (failure) throw failure;
    const started = new FakeServer(handler, options);
    starts.push(started);
    return started;
  });
  const events: string[] = [];
  server.on("down", ({ error }) => events.push(`down ${(error as Error | undefined)?.message}`));
  server.on("restart", ({ downFor }) => {
    events.push("restart");
    assert(downFor >= 50, `${downFor}`);
  });
  server.on("shed", ({ reason }) => events.push(`shed ${reason}`));
  const at = (index: number): FakeServer => {
    const started = starts[index];
    assert(started, `there was no start ${index}`);
    return started;
  };
  return { clock, server, starts, failures, events, at };
}

Deno.test("serve() starts again on the same address when the server ends by itself, after a pause", async () => {
  const { clock, server, starts, events, at } = setUp();
  at(0).ended.reject(new Error("Too many open files"));
  await clock.tickAsync(49);
  assertEquals([starts.length, events], [1, ["down Too many open files"]]);
  await clock.tickAsync(51);
  assertEquals([starts.length, events.at(-1), server.restarts], [2, "restart", 1]);
  const { hostname, port } = at(1).options;
  assertEquals([hostname, port, server.addr], [ADDR.hostname, ADDR.port, ADDR]);
  // The old one ends what it has begun, and keeps nothing.
  assertEquals([at(0).shutdowns, at(1).shutdowns], [1, 0]);
  at(1).ended.resolve();
  await clock.tickAsync(100);
  assertEquals([starts.length, events.at(-2)], [3, "down undefined"]);
  await server.shutdown();
  assertEquals([at(2).shutdowns, clock.pending], [1, 0]);
});

for (const code of ["EMFILE", "EADDRINUSE", "EADDRNOTAVAIL"]) {
  Deno.test(`serve() tries again when it cannot listen because of ${code}`, async () => {
    const { clock, server, starts, failures, at } = setUp();
    failures.push(errorOf(code), errorOf(code));
    at(0).ended.reject(new Error("Too many open files"));
    await clock.tickAsync(149); // three pauses of 50 ms at least
    assertEquals(starts.length, 1);
    await clock.tickAsync(151);
    assertEquals([starts.length, server.restarts, failures.length], [2, 1, 0]);
    await server.shutdown();
  });
}

Deno.test("serve() says so when it can never listen again", async () => {
  const { clock, server, failures, at } = setUp();
  failures.push(new Deno.errors.PermissionDenied("no"));
  at(0).ended.reject(new Error("Too many open files"));
  const finished = assertRejects(() => server.finished, Deno.errors.PermissionDenied);
  await clock.tickAsync(100);
  await finished;
});

Deno.test("serve() keeps the connections of a server that upgraded one, until it ends itself", async () => {
  const { clock, server, at } = setUp({}, () => {
    // No Response can be made with 101 but by an upgrade.
    return Object.defineProperty(new Response(), "status", { value: 101 });
  });
  const { sent } = await at(0).ask();
  sent.resolve();
  at(0).ended.reject(new Error("Too many open files"));
  await clock.tickAsync(100);
  assertEquals([at(0).shutdowns, server.restarts], [0, 1]);
  await server.shutdown();
  assertEquals([at(0).shutdowns, at(1).shutdowns], [1, 1]);
});

Deno.test("serve() closes or keeps the connections of an old server as it is told to", async () => {
  for (const [oldConnections, shutdowns] of [["close", 1], ["keep", 0]] as const) {
    const { clock, server, at } = setUp({ oldConnections });
    at(0).ended.reject(new Error("Too many open files"));
    await clock.tickAsync(100);
    assertEquals(at(0).shutdowns, shutdowns);
    await server.shutdown();
    assertEquals(at(0).shutdowns, 1);
  }
});

Deno.test("serve() keeps no more than a hundred old servers", async () => {
  const { clock, server, starts, at } = setUp({ oldConnections: "keep" });
  for (let count = 0; count < 105; count++) {
    at(count).ended.reject(new Error("Too many open files"));
    await clock.tickAsync(100);
  }
  assertEquals(starts.map(({ shutdowns }) => shutdowns).indexOf(0), 5);
  await server.shutdown();
});

Deno.test("overloaded: serve() answers what is too much with 503, and when to come again", async () => {
  const { server, events, at } = setUp({ maxInFlight: 1, retryAfter: 7 });
  const first = await at(0).ask();
  const second = await at(0).ask();
  assertEquals([first.response.status, second.response.status, server.inFlight], [200, 503, 1]);
  assertEquals(second.response.headers.get("retry-after"), "7");
  assertEquals(events, ["shed in-flight"]);
  first.sent.reject(new Deno.errors.Interrupted("the client has gone"));
  await Promise.resolve();
  const third = await at(0).ask();
  assertEquals([third.response.status, server.inFlight], [200, 1]);
  third.sent.resolve();
  await server.shutdown();
});

Deno.test("serve() shuts down when what is in flight is done, and turns new requests away until then", async () => {
  const { clock, server, events, at } = setUp();
  const { sent } = await at(0).ask();
  const ending = server.shutdown({ timeout: 1000 });
  const { response } = await at(0).ask();
  assertEquals([response.status, response.headers.get("connection")], [503, "close"]);
  await clock.tickAsync(999);
  assertEquals([at(0).shutdowns, events], [0, ["shed draining"]]);
  sent.resolve();
  assertEquals([await ending, at(0).shutdowns, clock.pending], [0, 1, 0]);
  await server.finished;
  assertEquals(await server.shutdown(), 0);
});

Deno.test("serve() cuts what is still in flight when the time is up, or the signal says so", async () => {
  const { clock, server, at } = setUp();
  await at(0).ask();
  const ending = server.shutdown({ timeout: 1000 });
  await clock.tickAsync(1000);
  assertEquals([await ending, at(0).options.signal.aborted, clock.pending], [1, true, 0]);
  const other = setUp();
  await other.at(0).ask();
  assertEquals(await other.server.shutdown({ signal: AbortSignal.abort() }), 1);
});

Deno.test("serve() is cut by its signal, also between two starts and while it shuts down", async () => {
  const running = new AbortController();
  const { server, at } = setUp({ signal: running.signal });
  await at(0).ask();
  const ending = server.shutdown();
  running.abort();
  await server.finished;
  assertEquals([await ending, at(0).options.signal.aborted], [1, true]);

  const between = new AbortController();
  const other = setUp({ signal: between.signal });
  other.at(0).ended.reject(new Error("Too many open files"));
  await other.clock.tickAsync(0);
  assertEquals(other.clock.pending, 1);
  between.abort();
  await other.server.finished;
  // What is retired must not be aborted: the runtime throws where nobody can catch it.
  assertEquals([other.clock.pending, other.starts.length, other.at(0).options.signal.aborted], [0, 1, false]);
  assertThrows(
    () => setUp({ signal: AbortSignal.abort(new RangeError("not today")) }),
    RangeError,
    "not today",
  );
});

Deno.test("serve() refuses limits that make no sense, and what Deno.serve refuses", () => {
  const answer = () => new Response();
  assertThrows(
    () => serve(answer, { maxInFlight: 0 }),
    RangeError,
    "maxInFlight must be a whole number from 1",
  );
  assertThrows(() => serve(answer, { retryAfter: -1 }), RangeError, "retryAfter");
  assertThrows(() => serve(answer, { pause: NaN }), RangeError, "pause");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assertThrows(() => serve(answer, { hostname: "127.0.0.1", port }), Deno.errors.AddrInUse);
});

Deno.test("serve() serves, sheds, and leaves nothing open", async () => {
  const arrived = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  await using server = serve(async (request) => {
    if (!request.url.endsWith("/slow")) return new Response("quick");
    arrived.resolve();
    await go.promise;
    return new Response("slow");
  }, { hostname: "127.0.0.1", port: 0, maxInFlight: 1, onListen() {} });
  using client = Deno.createHttpClient({});
  const url = `http://127.0.0.1:${server.addr.port}`;
  const slow = fetch(`${url}/slow`, { client });
  await arrived.promise;
  const refused = await fetch(url, { client });
  assertEquals([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  await refused.text();
  go.resolve();
  assertEquals(await (await slow).text(), "slow");
  // The client may have its answer before the server knows that it is sent.
  let text = "";
  while (text !== "quick") text = await (await fetch(url, { client })).text();
});

Deno.test("serve() cuts an answer that never ends when its time to shut down is up", async () => {
  const server = serve(() => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })), {
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  });
  using client = Deno.createHttpClient({});
  const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`, { client });
  const reading = assertRejects(() => answer.text(), TypeError);
  assertEquals(await server.shutdown({ timeout: 10 }), 1);
  await reading;
});
