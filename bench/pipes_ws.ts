/** What a pipe over WebSocket costs beside the library that carries it. The other end has a thread of its own. */

import { WebSocket } from "ws";
import { connect } from "../pipes/ws.ts";
import { type Figure, figure, percentile } from "./_figure.ts";
import { FarSide, figureOf, interleaved, type MakeCarrier } from "./_pipes_compare.ts";

/** As much may wait at a bare WebSocket before its sender does; the same as at a pipe. */
const HIGH_WATER = 64 * 1024;

async function rawSocket(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await new Promise((resolve) => socket.once("open", resolve));
  return socket;
}

/** The library alone. */
const rawMessages: MakeCarrier = async (far, total) => {
  const socket = await rawSocket(await far.start({ kind: "raw-ws", total }));
  return {
    async carry(size, writes) {
      const chunk = new Uint8Array(size);
      const arrived = new Promise((resolve) => socket.once("message", resolve));
      for (let n = 0; n < writes; n++) {
        if (socket.bufferedAmount < HIGH_WATER) socket.send(chunk);
        else await new Promise((resolve) => socket.send(chunk, resolve));
      }
      await arrived;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.close();
      await closed;
    },
  };
};

/** Messages by `send()` and `recv()`. */
const pipeMessages: MakeCarrier = async (far, total) => {
  const pipe = await connect(`ws://127.0.0.1:${await far.start({ kind: "pipe-ws", total })}`);
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
async function pingPong(rounds: number): Promise<Figure> {
  const message = new Uint8Array(64);
  using far = new FarSide();
  const socket = await rawSocket(await far.start({ kind: "raw-ws", total: 0 }));
  await using pipe = await connect(`ws://127.0.0.1:${await far.start({ kind: "pipe-ws", total: 0 })}`);
  const raw: number[] = [];
  const ours: number[] = [];
  for (let n = -500; n < rounds; n++) {
    const start = performance.now();
    const answer = new Promise((resolve) => socket.once("message", resolve));
    socket.send(message);
    await answer;
    const between = performance.now();
    await pipe.send(message);
    await pipe.recv();
    const end = performance.now();
    if (n < 0) continue;
    raw.push((between - start) * 1000);
    ours.push((end - between) * 1000);
  }
  socket.terminate();
  const note = `bare ${percentile(raw, 0.5).toFixed(1)} us, ours ${percentile(ours, 0.5).toFixed(1)} us`;
  const more = percentile(ours, 0.5) - percentile(raw, 0.5);
  return figure("pipe over WebSocket: 64-byte ping-pong, p50 above bare", more, "us", null, rounds, note);
}

/**
 * Measures pipes over WebSocket.
 *
 * @param rounds How often each variant is run.
 */
export async function pipesWs(rounds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of [64 * 1024, 1024]) {
    const { control, messages } = await interleaved(rawMessages, { messages: pipeMessages }, size, rounds);
    const kib = `${size / 1024} KiB messages`;
    figures.push(
      figureOf(`pipe over WebSocket: control, npm:ws beside itself, ${kib}`, control, null, rounds),
      figureOf(`pipe over WebSocket: beside npm:ws, ${kib}`, messages, null, rounds),
    );
  }
  return [...figures, await pingPong(rounds * 50)];
}
