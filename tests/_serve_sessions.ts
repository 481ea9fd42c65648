/** Clients and servers of sessions over real sockets, and clients that misbehave. */

import { assertEquals } from "@std/assert";
import { connect } from "../pipes/connect.ts";
import { ClientHandshake } from "../pipes/resume/_client_handshake.ts";
import type { NewSession } from "../pipes/resume/_handshake.ts";
import type { SessionServer } from "../pipes/resume/session_server.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { TERMS } from "./_handshakes.ts";

/** Where a server for tests listens. */
export const LOOPBACK: string = "resume+tcp://127.0.0.1:0";

/** The next session of a server. */
export async function nextSession(server: AsyncIterable<SessionPipe>): Promise<SessionPipe> {
  for await (const pipe of server) return pipe;
  throw new Error("Cannot accept: the server has ended");
}

/** Bytes that are different everywhere, so that nothing lost, doubled or moved goes unseen. */
export function pattern(length: number, from = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = byteAt(from + at);
  return bytes;
}

/** Where bytes differ from the pattern; -1 where they do not. */
export function firstDifference(bytes: Uint8Array, from: number): number {
  return bytes.findIndex((byte, at) => byte !== byteAt(from + at));
}

function byteAt(position: number): number {
  return (position * 31 + (position >> 8) * 17 + (position >> 16) * 7) & 255;
}

/** Waits until something is true, looking whenever anything may have happened. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`Cannot go on: ${what} did not happen`);
}

/** A proxy of TCP in between, whose connections can be cut. */
export interface CutProxy extends AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  /** How many connections came. */
  readonly count: number;
  /** Cuts all connections that are there. */
  cut(): void;
}

/** Starts such a proxy before a server. */
export function cutProxy(target: number): CutProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const pumps = new Set<Promise<unknown>>();
  let count = 0;
  const close = (conn: Deno.Conn): void => {
    if (open.delete(conn)) conn.close();
  };
  const pump = async (from: Deno.Conn, to: Deno.Conn): Promise<void> => {
    const buffer = new Uint8Array(16_384);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        for (let at = 0; at < n;) at += await to.write(buffer.subarray(at, n));
      }
    } catch { /* It was cut. */ }
    close(from);
    close(to);
  };
  const accepting = (async () => {
    for await (const conn of listener) {
      count++;
      open.add(conn);
      const other = await Deno.connect({ hostname: "127.0.0.1", port: target }).catch(() => undefined);
      if (!other) {
        close(conn);
        continue;
      }
      open.add(other);
      for (const one of [pump(conn, other), pump(other, conn)]) {
        pumps.add(one);
        void one.finally(() => pumps.delete(one));
      }
    }
  })();
  return {
    port: listener.addr.port,
    get count() {
      return count;
    },
    cut: () => [...open].forEach(close),
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      [...open].forEach(close);
      await Promise.all(pumps);
    },
  };
}

/** A client made of the handshake alone, which does only what a test tells it. */
export interface RawClient extends Disposable {
  /** The connection. */
  readonly conn: Deno.Conn;
  /** The session it was offered. */
  readonly session: NewSession;
  /** CONFIRM, which it has not sent. */
  readonly confirm: Uint8Array;
}

/** A session that a raw client goes on with, and by which carrier. */
export interface Resumes {
  readonly session: NewSession;
  readonly epoch: number;
}

/** Says HELLO, or RESUME, up to where only CONFIRM is missing. Rejects with what the handshake failed by. */
export function rawClient(server: SessionServer, resumes?: Resumes): Promise<RawClient> {
  return rawClientAt(portOf(server), resumes);
}

/** The same with a server in another process. */
export async function rawClientAt(port: number, resumes?: Resumes): Promise<RawClient> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const client = new ClientHandshake({
    wishes: TERMS,
    ...(resumes ? { session: { ...resumes.session, epoch: resumes.epoch, received: () => 0 } } : {}),
  });
  try {
    await conn.write(client.start());
    const buffer = new Uint8Array(1024);
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      const step = client.receive(buffer.subarray(0, n));
      if (step.type === "failed") throw Object.assign(new Error(step.failure.message), step.failure);
      if (step.type !== "ready") continue;
      const session = step.session ?? resumes?.session;
      if (!session) throw new Error("Cannot begin: no session was offered");
      return { conn, session, confirm: step.send, [Symbol.dispose]: () => closed(conn) };
    }
    throw new Error("Cannot begin: the server has closed");
  } catch (error) {
    closed(conn);
    throw error;
  }
}

/** The port that a server listens on. */
export function portOf(server: SessionServer): number {
  const [address] = server.addresses;
  return address && "port" in address ? address.port : 0;
}

/** Reads a connection to its end; how it ends does not matter. */
export async function drained(conn: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(65_536);
  let bytes = 0;
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) bytes += n;
  } catch { /* A reset is an end, too. */ }
  return bytes;
}

function closed(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* It was closed by the test. */ }
}

/** Bytes as text. */
export function text(bytes: Uint8Array | null): string {
  return new TextDecoder().decode(bytes ?? undefined);
}

/** Opens a session, without patience. */
export async function opened(url: string, options: Parameters<typeof connect>[1] = {}): Promise<SessionPipe> {
  return await connect(url, { retry: false, ...options }) as unknown as SessionPipe;
}

/** Both ends say something, and close. */
export async function talk(client: SessionPipe, server: SessionPipe): Promise<void> {
  await client.send("hello");
  assertEquals(text(await server.recv()), "hello");
  await server.send("welcome");
  assertEquals(text(await client.recv()), "welcome");
  assertEquals(client.session.id, server.session.id);
  await Promise.all([client.close(), server.close()]);
}

/** Sends the pattern there and back while the connections are cut. */
export async function roundTrip(
  client: SessionPipe,
  server: SessionPipe,
  length: number,
  disturb: (done: number) => void,
): Promise<void> {
  const send = async (pipe: SessionPipe): Promise<void> => {
    for (let at = 0; at < length; at += 65_536) await pipe.send(pattern(Math.min(65_536, length - at), at));
    await pipe.closeWrite();
  };
  const receive = async (pipe: SessionPipe, each: (done: number) => void): Promise<void> => {
    let done = 0;
    for await (const bytes of pipe.messages) {
      assertEquals(firstDifference(bytes, done), -1);
      done += bytes.length;
      each(done);
    }
    assertEquals(done, length);
  };
  await Promise.all([send(client), send(server), receive(server, disturb), receive(client, () => {})]);
}
