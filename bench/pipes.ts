/** What a pipe costs beside the bare connection: throughput, round trips, TLS, memory. The other end has a thread of its own. */

import { connect } from "../pipes/connect.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import { listen } from "../pipes/listen.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { type Carrier, FarSide, figureOf, interleaved, type MakeCarrier } from "./_pipes_compare.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { type Figure, figure, median, percentile } from "./_figure.ts";

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
