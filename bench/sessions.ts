/** What a session costs beside the bare connection: throughput, round trips, sealed and over TLS. The other end has a thread of its own. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { type Figure, figure, percentile } from "./_figure.ts";
import {
  type Carrier,
  FarSide,
  figureOf,
  interleaved,
  type MakeCarrier,
  shuffled,
} from "./_pipes_compare.ts";

const KEY = new Uint8Array(32).fill(7);

/** The runtime's own writes, one system call each. */
function writes(conn: Deno.Conn): Carrier {
  const one = new Uint8Array(1);
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) {
        for (let at = 0; at < size;) at += await conn.write(chunk.subarray(at));
      }
      await conn.read(one);
    },
    [Symbol.asyncDispose]() {
      conn.close();
      return Promise.resolve();
    },
  };
}

async function plain(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  return conn;
}

const raw: MakeCarrier = async (far, total) => writes(await plain(await far.start({ kind: "raw", total })));

/** The runtime's own streams. */
const streams: MakeCarrier = async (far, total) => {
  return written(await plain(await far.start({ kind: "raw-streams", total })));
};

function written(conn: Deno.TcpConn | Deno.TlsConn): Carrier {
  const writer = conn.writable.getWriter();
  const one = new Uint8Array(1);
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await writer.write(chunk);
      await conn.read(one);
    },
    [Symbol.asyncDispose]() {
      conn.close();
      return Promise.resolve();
    },
  };
}

function sends(pipe: SessionPipe): Carrier {
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await pipe.send(chunk);
      await pipe.recv();
    },
    [Symbol.asyncDispose]: () => pipe.close(),
  };
}

function streamed(pipe: SessionPipe): Carrier {
  const writer = pipe.writable.getWriter();
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await writer.write(chunk);
      await pipe.recv();
    },
    [Symbol.asyncDispose]: () => pipe.close(),
  };
}

/** A session, used as the bare connection beside it is. */
function session(kind: "session" | "session-streams", options: ConnectOptions = {}): MakeCarrier {
  return async (far, total) => {
    const key = options.session?.seal ? KEY : undefined;
    const port = await far.start({ kind, total, ...(key ? { key } : {}) });
    const pipe = await connect(`resume+tcp://127.0.0.1:${port}`, options);
    return kind === "session" ? sends(pipe) : streamed(pipe);
  };
}

const SEALED: ConnectOptions = { session: { seal: { key: KEY } } };

/** Round trips of 64 bytes: how much longer they take, in microseconds. */
async function pingPong(rounds: number): Promise<readonly Figure[]> {
  const message = new Uint8Array(64);
  const buffer = new Uint8Array(64);
  using far = new FarSide();
  using first = await plain(await far.start({ kind: "raw", total: 0 }));
  using second = await plain(await far.start({ kind: "raw", total: 0 }));
  const open = async (options: ConnectOptions, key?: Uint8Array): Promise<SessionPipe> => {
    const port = await far.start({ kind: "session", total: 0, ...(key ? { key } : {}) });
    return await connect(`resume+tcp://127.0.0.1:${port}`, options);
  };
  await using bare = await open({});
  await using sealed = await open(SEALED, KEY);
  const overRaw = (conn: Deno.Conn) => async (): Promise<void> => {
    await conn.write(message);
    for (let left = 64; left > 0;) left -= await conn.read(buffer) ?? left;
  };
  const overSession = (pipe: SessionPipe) => async (): Promise<void> => {
    await pipe.send(message);
    for (let left = 64; left > 0;) left -= (await pipe.recv())?.length ?? left;
  };
  const port = await far.start({ kind: "pipe-messages", total: 0 });
  await using pipe = await connect(`tcp://127.0.0.1:${port}`, { framing: lengthPrefix() });
  const overPipe = async (): Promise<void> => {
    await pipe.send(message);
    await pipe.recv();
  };
  const ways = [overRaw(first), overRaw(second), overPipe, overSession(bare), overSession(sealed)];
  const took: number[][] = ways.map(() => []);
  // The compiler takes its time.
  for (let n = -5000; n < rounds; n++) {
    // What one leaves behind, the next one finds: nobody may always come after the same.
    for (const way of shuffled([...ways.keys()])) {
      const go = ways[way] ?? overPipe;
      const start = performance.now();
      await go();
      if (n >= 0) took[way]?.push((performance.now() - start) * 1000);
    }
  }
  const [one = NaN, two = NaN, piped = NaN, ours = NaN, secret = NaN] = took.map((samples) =>
    percentile(samples, 0.5)
  );
  const base = (one + two) / 2;
  const note = (value: number): string => {
    return `raw ${base.toFixed(1)} us, a pipe ${piped.toFixed(1)} us, ours ${value.toFixed(1)} us`;
  };
  return [
    figure("session: 64-byte ping-pong, control, raw above itself", two - one, "us", null, rounds),
    figure("session: 64-byte ping-pong, p50 above raw", ours - base, "us", null, rounds, note(ours)),
    figure("session: 64-byte ping-pong, p50 above a pipe", ours - piped, "us", 5, rounds, note(ours)),
    figure("session: 64-byte ping-pong sealed, p50 above raw", secret - base, "us", 80, rounds, note(secret)),
  ];
}

/** ChaCha20-Poly1305 alone, both ways, 64 KiB at a time: the speed limit of sealed sessions. */
const cipher: MakeCarrier = () => {
  const nonce = new Uint8Array(12);
  const options = { authTagLength: 16 };
  const carrier: Carrier = {
    carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) {
        const seal = createCipheriv("chacha20-poly1305", KEY, nonce, options);
        const sealed = seal.update(chunk);
        seal.final();
        const open = createDecipheriv("chacha20-poly1305", KEY, nonce, options);
        open.setAuthTag(seal.getAuthTag());
        open.update(sealed);
        open.final();
      }
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return Promise.resolve(carrier);
};

async function overTls(rounds: number): Promise<readonly Figure[]> {
  const authority = await makeTestAuthority();
  const tls = await authority.issue();
  const caCerts = [authority.cert];
  const native: MakeCarrier = async (far, total) => {
    const port = await far.start({ kind: "raw-streams", total, tls });
    const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts });
    await conn.handshake();
    return written(conn);
  };
  const over: MakeCarrier = async (far, total) => {
    const port = await far.start({ kind: "session-streams", total, tls });
    return streamed(await connect(`resume+tls://localhost:${port}`, { tls: { caCerts } }));
  };
  const compared = await interleaved(native, { over }, 64 * 1024, rounds);
  return [
    figureOf(
      "session over TLS: control, native beside itself, 64 KiB writes",
      compared.control,
      null,
      rounds,
    ),
    figureOf("session over TLS: beside native without, 64 KiB writes", compared.over, 1 / 0.85, rounds),
  ];
}

/**
 * Measures sessions.
 *
 * @param rounds How often each variant is run.
 */
export async function sessions(rounds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of [64, 16]) {
    const others = { ours: session("session-streams") };
    const { control, ours } = await interleaved(streams, others, size * 1024, rounds);
    figures.push(
      figureOf(`session: control, raw streams beside themselves, ${size} KiB writes`, control, null, rounds),
      figureOf(`session: streams beside raw, ${size} KiB writes`, ours, 1 / 0.85, rounds),
    );
  }
  const { control, ours } = await interleaved(raw, { ours: session("session") }, 1024, rounds);
  figures.push(
    figureOf("session: control, raw beside itself, 1 KiB writes", control, null, rounds),
    figureOf("session: messages beside raw, 1 KiB writes", ours, 1 / 3, rounds),
  );
  const sealed = await interleaved(cipher, { ours: session("session-streams", SEALED) }, 64 * 1024, rounds);
  figures.push(
    figureOf("session sealed: control, cipher beside itself, 64 KiB", sealed.control, null, rounds),
    figureOf("session sealed: beside cipher alone, 64 KiB writes", sealed.ours, 1 / 0.35, rounds),
    ...await pingPong(rounds * 50),
    ...await overTls(rounds),
  );
  return figures;
}
