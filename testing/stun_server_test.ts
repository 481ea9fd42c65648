import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import {
  decodeBindingResponse,
  encodeBindingRequest,
  encodeMessage,
  MessageType,
  newTransactionId,
  StunError,
} from "../watch/_stun.ts";
import { openUdp } from "../watch/_udp.ts";
import { FakeClock } from "./fake_clock.ts";
import {
  startStunServer,
  type StunServer,
  type StunServerMode,
  type StunServerOptions,
} from "./stun_server.ts";

type Reply = {
  readonly bytes: Uint8Array;
  readonly from: { readonly address: string; readonly port: number };
};

/** A socket that keeps what it gets. */
async function asker(hostname = "127.0.0.1") {
  const replies: Reply[] = [];
  let arrived = Promise.withResolvers<void>();
  const socket = await openUdp({
    family: hostname.includes(":") ? 6 : 4,
    address: hostname,
    onMessage: (bytes, { address, port }) => {
      replies.push({ bytes: Uint8Array.from(bytes), from: { address, port } });
      arrived.resolve();
      arrived = Promise.withResolvers();
    },
  });
  return {
    local: socket.local,
    send: socket.send,
    async next(): Promise<Reply> {
      while (replies.length === 0) await arrived.promise;
      return replies.shift() ?? await this.next();
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

async function ask(server: StunServer): Promise<Reply & { id: Uint8Array; local: Reply["from"] }> {
  using socket = await asker(server.hostname);
  const id = newTransactionId();
  await socket.send(encodeBindingRequest(id), { address: server.hostname, port: server.port });
  return { ...await socket.next(), id, local: socket.local };
}

async function outcome(options: StunServerOptions): Promise<string> {
  await using server = await startStunServer(options);
  const { bytes, id, local } = await ask(server);
  try {
    const { mapped, xor, otherAddress } = decodeBindingResponse(bytes, id);
    const truth = mapped.address === local.address && mapped.port === local.port;
    return `${truth ? "true" : mapped.address}${xor ? "" : " plain"}${otherAddress ? " other" : ""}`;
  } catch (error) {
    if (error instanceof StunError) return error.reason;
    throw error;
  }
}

Deno.test("startStunServer() shows each fault that it promises", async () => {
  const cases: Partial<Record<StunServerMode, string>> = {
    "honest": "true",
    "liar": "203.0.113.66",
    "truncated": "truncated",
    "wrong-id": "wrong-id",
    "wrong-magic": "not-stun",
    "error": "error-response",
    "alternate-server": "alternate-server",
    "duplicate": "true",
    "mapped-only": "true plain",
    "other-address": "true other",
  };
  for (const [mode, expected] of Object.entries(cases)) {
    assertEquals(await outcome({ mode: mode as StunServerMode }), expected, mode);
  }
});

Deno.test("startStunServer() answers over IPv6", async () => {
  assertEquals(await outcome({ hostname: "::1" }), "true");
  assertEquals(await outcome({ hostname: "::1", mode: "liar" }), "2001:db8:bad::66");
});

Deno.test("startStunServer() in garbage mode answers with what nobody can read", async () => {
  await using server = await startStunServer({ mode: "garbage" });
  const { bytes, id } = await ask(server);
  assertEquals(bytes.length, 64);
  assertNotEquals(bytes.slice(8, 20), id);
});

Deno.test("startStunServer() lies about no more than it was told to", async () => {
  await using server = await startStunServer({ mode: "liar", lie: { port: 7 } });
  const { bytes, id } = await ask(server);
  assertEquals(decodeBindingResponse(bytes, id).mapped, { family: 4, address: "127.0.0.1", port: 7 });
});

Deno.test("startStunServer() answers three times in duplicate mode", async () => {
  await using server = await startStunServer({ mode: "duplicate" });
  using socket = await asker();
  await socket.send(encodeBindingRequest(newTransactionId()), { address: "127.0.0.1", port: server.port });
  const replies = [await socket.next(), await socket.next(), await socket.next()];
  assertEquals(new Set(replies.map(({ bytes }) => bytes.join())).size, 1);
});

Deno.test("startStunServer() answers late by its clock", async () => {
  const clock = new FakeClock();
  await using server = await startStunServer({ mode: "late", delay: 400, clock });
  using socket = await asker();
  await socket.send(encodeBindingRequest(newTransactionId()), { address: "127.0.0.1", port: server.port });
  await server.received(1);
  assertEquals(clock.pending, 1);
  clock.tick(399);
  assertEquals(clock.pending, 1);
  clock.tick(1);
  await socket.next();
});

Deno.test("startStunServer() answers at the other address too", async () => {
  await using server = await startStunServer({ mode: "other-address", otherMode: "liar" });
  const first = await ask(server);
  const other = decodeBindingResponse(first.bytes, first.id).otherAddress;
  assert(other && other.port !== server.port);
  using socket = await asker();
  const id = newTransactionId();
  await socket.send(encodeBindingRequest(id), other);
  const { bytes, from } = await socket.next();
  assertEquals(from.port, other.port);
  assertEquals(decodeBindingResponse(bytes, id).mapped.address, "203.0.113.66");
  assertEquals(server.requests, 2);
});

Deno.test("startStunServer() counts binding requests and nothing else, and changes its mind when told", async () => {
  await using server = await startStunServer({ mode: "silent" });
  using socket = await asker();
  const to = { address: "127.0.0.1", port: server.port };
  await socket.send(new Uint8Array(3), to);
  await socket.send(encodeMessage(MessageType.success, newTransactionId(), []), to);
  await socket.send(encodeBindingRequest(newTransactionId()), to);
  await server.received(1);
  server.mode = "honest";
  await socket.send(encodeBindingRequest(newTransactionId()), to);
  await socket.next();
  assertEquals(server.requests, 2);
  assertEquals(server.url, `stun:127.0.0.1:${server.port}`);
  await server.received(2);
});

Deno.test("startStunServer() tells who waits for requests that it is closed, and can be closed twice", async () => {
  const server = await startStunServer();
  const waiting = assertRejects(() => server.received(1), HoldfastError, "the STUN server is closed");
  await server.close();
  await server.close();
  await waiting;
});

Deno.test("startStunServer() refuses an address that it cannot have, and leaves nothing open", async () => {
  await assertRejects(() => startStunServer({ otherHostname: "192.0.2.1" }), HoldfastError, "192.0.2.1:0");
  await assertRejects(() => startStunServer({ hostname: "192.0.2.1" }), HoldfastError, "192.0.2.1:0");
});
