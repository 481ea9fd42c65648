/** Connections that are pushed while their data is on its way, and what has become of every byte. */

import { createServer, type Socket } from "node:net";
import { crc32 } from "node:zlib";
import type { PushChannel, Pushed } from "../pipes/push/push.ts";
import { pipeFromConn } from "../pipes/from_conn.ts";
import type { TcpPipe } from "../pipes/pipe.ts";
import { chance } from "./_chance.ts";

/** How a front gets its connections: the runtime's, or Node's, with bytes read from them or not. */
export type Front = "conn" | "conn-read" | "pipe" | "pipe-read" | "node" | "node-read";

/** All of them. */
export const FRONTS: readonly Front[] = ["conn", "conn-read", "pipe", "pipe-read", "node", "node-read"];

/** What became of one connection. */
export interface Crossed {
  /** Who has served it, or what went wrong. */
  readonly by: number | string;
  /** How many bytes it had sent. */
  readonly size: number;
}

/** A process that was started for a test. */
export interface Worker extends AsyncDisposable {
  readonly pid: number;
  /** Waits for a line of its output. */
  line(): Promise<string>;
  kill(): Promise<void>;
}

/** Starts a worker and waits until it is ready. */
export async function startWorker(kind: "deno" | "python", path: string, ...args: string[]): Promise<Worker> {
  const file = new URL(kind === "deno" ? "_push_worker.ts" : "_push_worker.py", import.meta.url).pathname;
  const [command, first] = kind === "deno" ? [Deno.execPath(), ["run", "-A"]] : ["python3", []];
  const child = new Deno.Command(command, {
    args: [...first, file, path, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let over = false;
  const worker: Worker = {
    pid: child.pid,
    async line() {
      while (!text.includes("\n")) {
        const { value, done } = await lines.read();
        if (done) throw new Error("Cannot read a line: the worker has ended");
        text += value;
      }
      const [line = ""] = text.split("\n", 1);
      text = text.slice(line.length + 1);
      return line;
    },
    async kill() {
      if (over) return;
      over = true;
      child.kill("SIGKILL");
      await child.status;
      await child.stdin.close().catch(() => {}); // gone with the process
      await lines.cancel();
    },
    [Symbol.asyncDispose]: () => worker.kill(),
  };
  await worker.line();
  return worker;
}

/** What {@linkcode cross} takes. */
export interface CrossOptions {
  readonly count: number;
  readonly fronts: readonly Front[];
  /** The most bytes of one connection. */
  readonly most?: number;
  /** How many are open at a time. */
  readonly atOnce?: number;
}

/**
 * Opens connections whose data crosses the handing over.
 *
 * @param channel Where they are pushed to.
 * @param options How many.
 */
export async function cross(channel: PushChannel, options: CrossOptions): Promise<readonly Crossed[]> {
  const { count, fronts, most = 200_000, atOnce = 24 } = options;
  await using front = await openFront(channel, fronts);
  const results: Crossed[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, async () => {
    while (next < count) {
      const index = next++;
      results.push(await client(front.ports[index % front.ports.length] ?? 0, chance(index), most));
    }
  }));
  const failed = await front.failures();
  return [...results, ...failed.map((by) => ({ by, size: -1 }))];
}

/** A client: the length, and that many bytes in pieces; then what the server says about them. */
async function client(port: number, random: () => number, most: number): Promise<Crossed> {
  const size = Math.floor(random() ** 3 * most);
  const data = new Uint8Array(4 + size);
  new DataView(data.buffer).setUint32(0, size);
  for (let at = 4; at < data.length; at++) data[at] = Math.floor(random() * 256);
  const sum = crc32(data.subarray(4));
  try {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const answer = readAll(conn);
    for (let at = 0; at < data.length;) {
      const piece = Math.max(1, Math.floor(random() * 50_000));
      at += await conn.write(data.subarray(at, at + piece));
      if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const [got, crc, pid] = (await answer).split(" ").map(Number);
    if (got !== size || crc !== sum || !pid) {
      return { by: `sent ${size} with ${sum}, answered "${await answer}"`, size };
    }
    return { by: pid, size };
  } catch (error) {
    return { by: `${(error as Error).name}: ${(error as Error).message}`, size };
  }
}

async function readAll(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(256);
  let text = "";
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) return text;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

interface OpenFront extends AsyncDisposable {
  readonly ports: readonly number[];
  failures(): Promise<readonly string[]>;
}

/** A listener for each way to get connections. */
async function openFront(channel: PushChannel, fronts: readonly Front[]): Promise<OpenFront> {
  const pushes: Promise<string | null>[] = [];
  const note = (pushing: Promise<Pushed>): void => {
    pushes.push(pushing.then(() => null, (error) => `${error.name}: ${error.message}`));
  };
  const opened = await Promise.all(
    fronts.map((front) =>
      front.startsWith("node")
        ? nodeFront(front, (socket) => note(channel.push(socket)))
        : runtimeFront(front, (conn) => note(pushed(channel, front, conn)))
    ),
  );
  return {
    ports: opened.map(({ port }) => port),
    failures: async () => (await Promise.all(pushes)).filter((failure) => failure !== null),
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map(({ close }) => close()));
    },
  };
}

async function pushed(channel: PushChannel, front: Front, conn: Deno.TcpConn): Promise<Pushed> {
  if (front === "conn") return await channel.push(conn);
  if (front === "conn-read") {
    const buffer = new Uint8Array(1000);
    const count = await conn.read(buffer);
    return await channel.push(conn, { prefix: buffer.subarray(0, count ?? 0) });
  }
  const pipe = await pipeFromConn(conn) as TcpPipe;
  if (front === "pipe") return await channel.push(pipe);
  const first = await pipe.recv() ?? new Uint8Array(0);
  return await channel.push(pipe, { prefix: first });
}

interface FrontListener {
  readonly port: number;
  close(): Promise<void>;
}

function runtimeFront(_front: Front, take: (conn: Deno.TcpConn) => void): Promise<FrontListener> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const conn of listener) take(conn);
  })();
  return Promise.resolve({
    port: listener.addr.port,
    async close() {
      listener.close();
      await accepting;
    },
  });
}

async function nodeFront(front: Front, take: (socket: Socket) => void): Promise<FrontListener> {
  const server = createServer({ pauseOnConnect: front === "node", allowHalfOpen: true }, (socket) => {
    if (front === "node") return take(socket);
    // It reads ahead, and nobody takes what it has read.
    socket.once("readable", () => take(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}
