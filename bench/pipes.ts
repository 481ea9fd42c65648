/** What a pipe costs beside the bare connection: throughput, round trips, TLS, memory. The other end has a thread of its own. */

import { connect } from "../pipes/connect.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import { listen } from "../pipes/listen.ts";
import type { Pipe } from "../pipes/pipe.ts";
import type { Far } from "./_pipes_far.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { type Figure, figure, median, percentile } from "./_figure.ts";

const MIB = 1024 * 1024;

/** The other end's thread. */
class FarSide implements Disposable {
  readonly #worker = new Worker(new URL("_pipes_far.ts", import.meta.url).href, { type: "module" });

  /** Starts one end there, and tells its port. */
  start(far: Far): Promise<number> {
    return new Promise((resolve) => {
      this.#worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      this.#worker.postMessage(far);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Something that carries bytes one way. */
interface Carrier extends AsyncDisposable {
  /** Sends so many writes of a size, and resolves when all of it has arrived at the other end. */
  carry(size: number, writes: number): Promise<void>;
}

/** Makes a carrier whose other end says when so many bytes have come. */
type MakeCarrier = (far: FarSide, total: number) => Promise<Carrier>;

async function rawConnection(port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  return connection;
}

/** The runtime's own streams. */
const rawStreams: MakeCarrier = async (far, total) => {
  const connection = await rawConnection(await far.start({ kind: "raw-streams", total }));
  const writer = connection.writable.getWriter();
  const one = new Uint8Array(1);
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await writer.write(chunk);
      await connection.read(one);
    },
    [Symbol.asyncDispose]() {
      connection.close();
      return Promise.resolve();
    },
  };
};

/** The runtime's own writes, one system call each. */
const rawWrites: MakeCarrier = async (far, total) => {
  const connection = await rawConnection(await far.start({ kind: "raw", total }));
  const one = new Uint8Array(1);
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) {
        for (let at = 0; at < size;) at += await connection.write(chunk.subarray(at));
      }
      await connection.read(one);
    },
    [Symbol.asyncDispose]() {
      connection.close();
      return Promise.resolve();
    },
  };
};

/** The streams of a pipe. */
const pipeStreams: MakeCarrier = async (far, total) => {
  const pipe = await connect(`tcp://127.0.0.1:${await far.start({ kind: "pipe-streams", total })}`);
  const writer = pipe.writable.getWriter();
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await writer.write(chunk);
      await pipe.recv();
    },
    [Symbol.asyncDispose]: () => pipe.close(),
  };
};

/** Messages by `send()` and `recv()`. */
const pipeMessages: MakeCarrier = async (far, total) => {
  const url = `tcp://127.0.0.1:${await far.start({ kind: "pipe-messages", total })}` as const;
  const pipe = await connect(url, { framing: lengthPrefix() });
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      for (let n = 0; n < writes; n++) await pipe.send(chunk);
      await pipe.recv();
    },
    [Symbol.asyncDispose]: () => pipe.close(),
  };
};

/** Runs variants by turns, A B B A, and tells the throughput of each in MiB a second. */
async function interleaved(
  variants: Readonly<Record<string, MakeCarrier>>,
  size: number,
  slices: number,
): Promise<Readonly<Record<string, number>>> {
  const writes = Math.max(16, Math.round((size >= 16 * 1024 ? 16 * MIB : 4 * MIB) / size));
  using far = new FarSide();
  await using stack = new AsyncDisposableStack();
  const carriers: (readonly [string, Carrier])[] = [];
  for (const [name, make] of Object.entries(variants)) {
    carriers.push([name, stack.use(await make(far, size * writes))]);
  }
  const speeds: Record<string, number[]> = {};
  for (let n = -4; n < slices; n++) {
    for (const [name, carrier] of n % 2 === 0 ? carriers : [...carriers].reverse()) {
      const start = performance.now();
      await carrier.carry(size, writes);
      // The first slices warm the compiler up.
      if (n >= 0) (speeds[name] ??= []).push(size * writes / MIB / ((performance.now() - start) / 1000));
    }
  }
  return Object.fromEntries(Object.entries(speeds).map(([name, all]) => [name, median(all)]));
}

/** Round trips of 64 bytes, in microseconds. */
async function pingPong(rounds: number): Promise<readonly Figure[]> {
  const message = new Uint8Array(64);
  const buffer = new Uint8Array(64);
  using far = new FarSide();
  using connection = await rawConnection(await far.start({ kind: "raw", total: 0 }));
  const url = `tcp://127.0.0.1:${await far.start({ kind: "pipe-messages", total: 0 })}` as const;
  await using pipe = await connect(url, { framing: lengthPrefix() });
  const raw: number[] = [];
  const ours: number[] = [];
  for (let n = -500; n < rounds; n++) {
    const start = performance.now();
    await connection.write(message);
    for (let left = 64; left > 0;) left -= await connection.read(buffer) ?? left;
    const between = performance.now();
    await pipe.send(message);
    await pipe.recv();
    const end = performance.now();
    if (n < 0) continue;
    raw.push((between - start) * 1000);
    ours.push((end - between) * 1000);
  }
  const note = `raw ${percentile(raw, 0.5).toFixed(1)} us, ours ${percentile(ours, 0.5).toFixed(1)} us`;
  const more = percentile(ours, 0.5) - percentile(raw, 0.5);
  return [figure("pipe: 64-byte ping-pong, p50 above raw", more, "us", 10, rounds, note)];
}

/** The first exchange over TLS, connection and handshake left out, in milliseconds. */
async function tlsFirst(count: number): Promise<Figure> {
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue();
  await using server = await listen("tls://127.0.0.1:0", { tls: { cert, key } });
  const serving = (async () => {
    for await (const pipe of server) {
      (async () => {
        for await (const data of pipe.messages) await pipe.send(data);
        await pipe.close();
      })();
    }
  })();
  const samples: number[] = [];
  for (let n = 0; n < count; n++) {
    await using pipe = await connect(server.url.replace("127.0.0.1", "localhost"), {
      tls: { caCerts: [authority.cert] },
    });
    const start = performance.now();
    await pipe.send("hello");
    await pipe.recv();
    samples.push(performance.now() - start);
  }
  await server.close();
  await serving;
  return figure(
    "pipe over TLS: first exchange, p50",
    median(samples),
    "ms",
    5,
    count,
    `by ${server.report[0]?.by}`,
  );
}

/** What an idle pipe costs above the bare connection, in KiB. */
async function idle(count: number): Promise<Figure> {
  const memory = (): number => {
    (globalThis as { gc?: () => void }).gc?.();
    return Deno.memoryUsage().rss / 1024;
  };
  const raw: Disposable[] = [];
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const buffers: Promise<unknown>[] = [];
  const atStart = memory();
  for (let n = 0; n < count; n++) {
    const [client, server] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port }),
      listener.accept(),
    ]);
    raw.push(client, server);
    buffers.push(server.read(new Uint8Array(256)).catch(() => {}));
  }
  const bare = (memory() - atStart) / count;
  for (const one of raw.splice(0)) one[Symbol.dispose]();
  await Promise.all(buffers);

  await using pipes = await listen("tcp://127.0.0.1:0", { maxConnections: 2 * count });
  const accepted = pipes[Symbol.asyncIterator]();
  const { port } = pipes.addresses[0] ?? { port: 0 };
  const open: Pipe[] = [];
  const before = memory();
  for (let n = 0; n < count; n++) {
    const [client, { value }] = await Promise.all([
      Deno.connect({ hostname: "127.0.0.1", port }),
      accepted.next(),
    ]);
    raw.push(client);
    if (!value) throw new Error("Cannot measure: nobody was accepted");
    // Somebody waits for a message on each, as servers do.
    value.on("message", () => {});
    open.push(value);
  }
  const ours = (memory() - before) / count;
  for (const one of raw) one[Symbol.dispose]();
  for (const pipe of open) await pipe.close();
  const note = `bare ${bare.toFixed(1)} KiB, with pipe ${ours.toFixed(1)} KiB`;
  return figure(`pipe: ${count} idle ones, each above bare`, ours - bare, "KiB", 6, count, note);
}

/**
 * Measures pipes.
 *
 * @param slices How many slices of each variant.
 * @param connections How many idle connections.
 */
export async function pipes(slices: number, connections: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of [64 * 1024, 16 * 1024]) {
    const { raw = NaN, control = NaN, streams = NaN, messages = NaN } = await interleaved(
      { raw: rawStreams, streams: pipeStreams, control: rawStreams, messages: pipeMessages },
      size,
      slices,
    );
    const kib = `${size / 1024} KiB writes`;
    figures.push(
      figure(
        `pipe: control, raw beside itself, ${kib}`,
        control / raw,
        "x",
        null,
        slices,
        `${raw.toFixed(0)} MiB/s`,
      ),
      figure(
        `pipe: raw / streams of a pipe, ${kib}`,
        raw / streams,
        "x",
        1.11,
        slices,
        `${streams.toFixed(0)} MiB/s`,
      ),
      figure(
        `pipe: raw / messages with length, ${kib}`,
        raw / messages,
        "x",
        size === 64 * 1024 ? 1.11 : null,
        slices,
        `${messages.toFixed(0)} MiB/s`,
      ),
    );
  }
  const { raw = NaN, messages = NaN } = await interleaved(
    { raw: rawWrites, messages: pipeMessages },
    1024,
    slices,
  );
  figures.push(
    figure(
      "pipe: raw / messages with length, 1 KiB",
      raw / messages,
      "x",
      1 / 3,
      slices,
      `${messages.toFixed(0)} MiB/s`,
    ),
    ...await pingPong(slices * 50),
    await tlsFirst(Math.max(5, slices)),
    await idle(connections),
  );
  return figures;
}
