/** Failures of WebSocket: brought about, known by name, and healed. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { constant } from "../recover/backoff.ts";
import { classify } from "../recover/classify.ts";
import { DeadPeerError } from "../recover/dead_peer_error.ts";
import { type Heartbeat, heartbeat } from "../recover/heartbeat.ts";
import { supervise } from "../recover/supervise.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { type FaultServer, startFaultServer } from "../testing/fault_server.ts";
import { opened } from "./_failed_ways.ts";

/** The next event of a kind. */
function next<T extends keyof WebSocketEventMap>(socket: WebSocket, type: T): Promise<WebSocketEventMap[T]> {
  return new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
}

function urlOf({ port }: FaultServer): string {
  return `ws://127.0.0.1:${port}/`;
}

/** Sends a text, and gives what comes back. */
async function echo(socket: WebSocket, text: string): Promise<unknown> {
  const answer = next(socket, "message");
  socket.send(text);
  return (await answer).data;
}

Deno.test("websocket-lost: it closes with code 0, and supervise() makes a new one that goes on with what is left", async () => {
  await using server = await startFaultServer({ fault: { type: "websocket-reset", after: 1 } });
  for (const how of ["reset", "end"] as const) {
    server.setFault(how === "reset" ? { type: "websocket-reset", after: 1 } : { type: "websocket" });
    const socket = new WebSocket(urlOf(server));
    await opened(socket);
    const [failed, closed] = [next(socket, "error"), next(socket, "close")];
    assertEquals(await echo(socket, "hello"), "hello");
    if (how === "end") server.cut("end");
    const error = await failed;
    assertInstanceOf(error, ErrorEvent);
    assertEquals(
      error.message,
      how === "reset" ? "Connection reset by peer (os error 104)" : "Unexpected EOF",
    );
    const close = await closed;
    assertEquals([close.code, close.wasClean, close.reason], [0, false, ""]);
    for (const event of [error, close]) {
      const { scenario, kind, retry, sent } = classify(event, { operation: "read" });
      assertEquals([scenario, kind, retry, sent], ["websocket-lost", "reset", "later", "maybe"], event.type);
    }
  }

  // What the application has not seen confirmed, it sends again on the next one.
  server.setFault({ type: "websocket-reset", after: 1 });
  const before = server.connections;
  const unconfirmed = ["one", "two", "three"];
  await using task = supervise("socket", async ({ signal }) => {
    const socket = new WebSocket(urlOf(server));
    const closed = next(socket, "close");
    signal.addEventListener("abort", () => socket.close(), { once: true });
    await opened(socket);
    socket.onmessage = ({ data }) => {
      assertEquals(data, unconfirmed.shift());
      if (unconfirmed.length > 0) socket.send(unconfirmed[0] ?? "");
      else socket.close();
    };
    socket.send(unconfirmed[0] ?? "");
    const event = await closed;
    if (!event.wasClean) throw event;
  }, { backoff: constant(1) });
  const failures: (string | null)[] = [];
  using _failures = task.on("failed", ({ failure }) => {
    failures.push(failure.scenario);
    if (failures.length === 2) server.setFault({ type: "websocket" });
  });
  assertEquals((await task.done).reason, "finished");
  assertEquals([unconfirmed, failures], [[], ["websocket-lost", "websocket-lost"]]);
  assertEquals(server.connections, before + 3);
});

/** Watches a socket whose server answers every message. */
function guard(socket: WebSocket, clock: FakeClock): Heartbeat {
  const ping = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      socket.addEventListener("message", () => resolve(), { once: true, signal });
      socket.send("ping");
    });
  return heartbeat({ ping, clock });
}

Deno.test("websocket-half-open: no event ever comes, heartbeat() finds it dead, and a new one works", async () => {
  await using server = await startFaultServer({ fault: { type: "websocket-half-open", after: 1 } });
  const clock = new FakeClock();
  const socket = new WebSocket(urlOf(server));
  await opened(socket);
  const events: string[] = [];
  for (const type of ["message", "error", "close"]) socket.addEventListener(type, () => events.push(type));
  assertEquals(await echo(socket, "hello"), "hello");
  using beat = guard(socket, clock);
  const seen = async (milliseconds: number): Promise<readonly unknown[]> => {
    await clock.tickAsync(milliseconds);
    return [beat.status, socket.readyState, events.join()];
  };
  assertEquals(await seen(15_000), ["alive", WebSocket.OPEN, "message"]);
  assertEquals(await seen(2000), ["suspect", WebSocket.OPEN, "message"]);
  assertEquals(await seen(2000), ["dead", WebSocket.OPEN, "message"]);
  const { reason } = beat.signal;
  assertInstanceOf(reason, DeadPeerError);
  const { kind, retry, sent } = classify(reason);
  assertEquals([reason.reason, kind, retry, sent], ["silence", "timeout", "now", "maybe"]);
  socket.close();
  assertEquals(socket.readyState, WebSocket.CLOSING, "it waits for an answer to its goodbye, too");

  server.setFault({ type: "websocket" });
  const healed = new WebSocket(urlOf(server));
  await opened(healed);
  using again = guard(healed, clock);
  const pong = new Promise((resolve) => again.on("pong", resolve));
  await clock.tickAsync(15_000);
  await pong;
  assertEquals(again.status, "alive");
  const closed = Promise.all([socket, healed].map((one) => next(one, "close")));
  healed.close();
  server.cut("end");
  await closed;
});

Deno.test("websocket-half-open: a server of the runtime's own asks by itself, and says so when nobody answers", async () => {
  const told = Promise.withResolvers<CloseEvent>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 1 });
    socket.onclose = told.resolve;
    return response;
  });
  // A client that opens a WebSocket, and never reads what comes.
  using client = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const head = [
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${crypto.getRandomValues(new Uint8Array(16)).toBase64()}`,
  ];
  await client.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
  const event = await told.promise;
  assertEquals([event.code, event.reason], [1001, "No response from ping frame."]);
  const { scenario, kind, retry, sent } = classify(event);
  assertEquals([scenario, kind, retry, sent], ["websocket-half-open", "timeout", "later", "maybe"]);
});
