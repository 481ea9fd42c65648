/** What a pipe costs beside the bare connection: throughput, round trips, TLS, memory. The other end has a thread of its own. */

import { cpuUsage } from "node:process";
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
  return streamCarrier(await rawConnection(await far.start({ kind: "raw-streams", total })));
};

function streamCarrier(connection: Deno.TcpConn | Deno.TlsConn): Carrier {
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
}

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
  return pipeCarrier(await connect(`tcp://127.0.0.1:${await far.start({ kind: "pipe-streams", total })}`));
};

function pipeCarrier(pipe: Pipe): Carrier {
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

/** A variant, and what its runs took: in milliseconds, and of the processors. */
interface Run {
  readonly carrier: Carrier;
  readonly times: number[];
  readonly works: number[];
}

/** What a variant takes beside bare connections, of which there are two, in the same round; the median of all rounds. */
interface Comparison {
  /** How much longer. */
  readonly time: number;
  /** How much more of the processors, at both ends together; other programs do not matter for that. */
  readonly work: number;
  /** Its throughput in MiB a second. */
  readonly speed: number;
}

/**
 * Runs variants by turns, in any order, and compares within the rounds: with a bare connection and its twin, and these two with
 * each other.
 */
async function interleaved<K extends string>(
  raw: MakeCarrier,
  others: Readonly<Record<K, MakeCarrier>>,
  size: number,
  rounds: number,
): Promise<Readonly<Record<K | "control", Comparison>>> {
  const writes = Math.max(16, Math.round((size >= 16 * 1024 ? 48 * MIB : 4 * MIB) / size));
  using far = new FarSide();
  await using stack = new AsyncDisposableStack();
  const runs: Run[] = [];
  for (const make of [raw, raw, ...Object.values<MakeCarrier>(others)]) {
    runs.push({ carrier: stack.use(await make(far, size * writes)), times: [], works: [] });
  }
  // The first rounds warm the compiler up.
  for (let n = -5; n < rounds; n++) {
    // What one leaves behind, the next one clears away: nobody may always come after the same.
    for (const { carrier, times, works } of shuffled(runs)) {
      const before = cpuUsage();
      const start = performance.now();
      await carrier.carry(size, writes);
      const time = performance.now() - start;
      const { user, system } = cpuUsage(before);
      if (n < 0) continue;
      times.push(time);
      works.push(user + system);
    }
  }
  const [first, control, ...compared] = runs;
  if (!first || !control) throw new Error("Cannot measure: nothing to compare with");
  const compare = ({ times, works }: Run, bare: readonly Run[]): Comparison => ({
    time: beside(times, bare.map((run) => run.times)),
    work: beside(works, bare.map((run) => run.works)),
    speed: size * writes / MIB / (median(times) / 1000),
  });
  const names = Object.keys(others);
  return Object.fromEntries([
    ["control", compare(control, [first])],
    ...compared.map((run, n) => [names[n], compare(run, [first, control])]),
  ]);
}

/** How many times as much something is as others are, one round with another. */
function beside(all: readonly number[], others: readonly (readonly number[])[]): number {
  return median(all.map((value, n) => {
    const sum = others.reduce((sum, other) => sum + (other[n] ?? NaN), 0);
    return value / (sum / others.length);
  }));
}

function shuffled<T>(all: readonly T[]): readonly T[] {
  return all.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ one }) => one);
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

/** Streams over TLS beside the runtime's own, both ends by the runtime. */
async function tlsStreams(rounds: number): Promise<readonly Figure[]> {
  const authority = await makeTestAuthority();
  const tls = await authority.issue();
  const caCerts = [authority.cert];
  const raw: MakeCarrier = async (far, total) => {
    const port = await far.start({ kind: "raw-streams", total, tls });
    const connection = await Deno.connectTls({ hostname: "localhost", port, caCerts });
    await connection.handshake();
    return streamCarrier(connection);
  };
  const streams: MakeCarrier = async (far, total) => {
    const port = await far.start({ kind: "pipe-streams", total, tls });
    return pipeCarrier(await connect(`tls://localhost:${port}`, { tls: { caCerts } }));
  };
  const compared = await interleaved(raw, { streams }, 64 * 1024, rounds);
  return [
    figureOf("pipe over TLS: control, native beside itself, 64 KiB writes", compared.control, null, rounds),
    figureOf("pipe over TLS: streams beside native, 64 KiB writes", compared.streams, 1.053, rounds),
  ];
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
  const by = server.report[0]?.by;
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
  return figure("pipe over TLS: first exchange, p50", median(samples), "ms", 5, count, `by ${by}`);
}

/** The heap for short-lived objects, which grows by some MiB whenever much is made at once, is as small as it goes. */
const HEAP = "--expose-gc,--min-semi-space-size=1,--max-semi-space-size=1";

/** What an idle pipe costs above the bare connection, in KiB. */
async function idle(count: number): Promise<Figure> {
  const program = new URL("_pipes_idle.ts", import.meta.url).pathname;
  const measure = async (kind: "bare" | "pipe"): Promise<number> => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `--v8-flags=${HEAP}`, program, kind, String(count)],
      stderr: "inherit",
    }).output();
    return Number(new TextDecoder().decode(stdout));
  };
  const more: number[] = [];
  let note = "";
  for (let n = 0; n < 3; n++) {
    const [bare, ours] = [await measure("bare"), await measure("pipe")];
    more.push(ours - bare);
    note = `bare ${bare.toFixed(1)} KiB with its client, pipe ${ours.toFixed(1)} KiB`;
  }
  return figure(`pipe: ${count} idle ones, each above bare`, median(more), "KiB", 6, count, note);
}

/**
 * Measures pipes.
 *
 * @param rounds How often each variant is run.
 * @param connections How many idle connections.
 */
export async function pipes(rounds: number, connections: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of [64 * 1024, 16 * 1024]) {
    const { control, streams, messages } = await interleaved(
      rawStreams,
      { streams: pipeStreams, messages: pipeMessages },
      size,
      rounds,
    );
    const kib = `${size / 1024} KiB writes`;
    figures.push(
      figureOf(`pipe: control, raw beside itself, ${kib}`, control, null, rounds),
      figureOf(`pipe: streams of a pipe beside raw, ${kib}`, streams, 1.11, rounds),
      figureOf(
        `pipe: messages with length beside raw, ${kib}`,
        messages,
        size === 65536 ? 1.11 : null,
        rounds,
      ),
    );
  }
  const { control, messages } = await interleaved(rawWrites, { messages: pipeMessages }, 1024, rounds);
  figures.push(
    figureOf("pipe: control, raw beside itself, 1 KiB writes", control, null, rounds),
    figureOf("pipe: messages with length beside raw, 1 KiB writes", messages, 0.333, rounds),
    ...await pingPong(rounds * 50),
    ...await tlsStreams(rounds),
    await tlsFirst(Math.max(5, rounds)),
    await idle(connections),
  );
  return figures;
}

/** A figure of how long it takes beside a bare connection. */
function figureOf(
  name: string,
  { time, work, speed }: Comparison,
  target: number | null,
  rounds: number,
): Figure {
  const note = `${speed.toFixed(0)} MiB/s beside ${(speed * time).toFixed(0)}, processors ${
    work.toFixed(3)
  } x`;
  return figure(name, time, "x", target, rounds, note);
}
