/**
 * How much memory idle connections take, in KiB each: `_pipes_idle.ts bare|pipe COUNT`, in a process of its own. The clients,
 * which are in it too, are the same bare ones in both cases.
 */

import { listen } from "../pipes/listen.ts";

const [kind = "pipe", text = "1000"] = Deno.args;
const count = Number(text);
const kept: unknown[] = [];

/** Something that accepts connections, and waits for a message on each. */
interface Accepting {
  readonly port: number;
  next(): Promise<unknown>;
}

function bare(): Accepting {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async next() {
      const conn = await listener.accept();
      kept.push(conn.read(new Uint8Array(256)));
      return conn;
    },
  };
}

async function pipes(): Promise<Accepting> {
  const server = await listen("tcp://127.0.0.1:0");
  const accepted = server[Symbol.asyncIterator]();
  return {
    port: server.addresses[0]?.port ?? 0,
    async next() {
      const { value } = await accepted.next();
      value?.on("message", () => {});
      return value;
    },
  };
}

function memory(): number {
  for (let n = 0; n < 3; n++) (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().rss / 1024;
}

async function open(accepting: Accepting, count: number): Promise<void> {
  const { port } = accepting;
  for (let n = 0; n < count; n++) {
    kept.push(...await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), accepting.next()]));
  }
}

const accepting = kind === "bare" ? bare() : await pipes();
// The first ones load code, let it be compiled, and let the heap grow: the process pays that once.
await open(accepting, 500);
const before = memory();
await open(accepting, count);
console.log((memory() - before) / count);
Deno.exit(0);
