// runs alone
/** What a session costs that nobody uses: beside an ordinary pipe, and without a connection. */

import { assert } from "@std/assert";
import { startCode } from "./_code.ts";
import { scale } from "./_require.ts";
import { rawClientAt } from "./_serve_sessions.ts";

/** How many are idle over a connection, and how many without. */
const [IDLE, AWAY] = [400, scale(1000, 10_000)];

/** What an idle session may cost above an ordinary pipe, in bytes; and 10,000 that are suspended. */
const [ABOVE, SUSPENDED] = [8 * 1024, 100 * 1024 * 1024];

const CHILD = `
import { setImmediate } from "node:timers";
import { listen } from "#/pipes/listen.ts";

const { url, count, mode } = JSON.parse(Deno.env.get("CHILD"));
async function held() {
  for (let n = 0; n < 4; n++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { heap: heapUsed + external, rss };
}
const server = await listen(url, { maxConnections: 20000, session: { maxSessions: 20000, expiry: 600000, backlog: 20000, maxHandshakesPerAddress: 256 } });
const pipes = [];
async function take(number) {
  for await (const pipe of server) {
    pipe.recv().catch(() => {});
    if (mode === "gone") pipe.abort();
    pipes.push(mode === "gone" ? null : pipe);
    if (pipes.length === number) return;
  }
}
console.log("at " + server.url.split(":").at(-1));
// The first ones load what all of them need.
await take(20);
const begin = await held();
const keep = setInterval(() => {}, 1000);
await take(20 + count);
while (mode === "away" && pipes.some((pipe) => pipe.session.state !== "suspended")) await new Promise((resolve) => setTimeout(resolve, 10));
const end = await held();
console.log("each " + JSON.stringify({ heap: (end.heap - begin.heap) / count, rss: (end.rss - begin.rss) / count }));
Deno.exit(0);
`;

/** What each of so many costs in a process of its own, in bytes. */
async function each(
  url: string,
  count: number,
  mode: "idle" | "away" | "gone",
): Promise<{ readonly heap: number; readonly rss: number }> {
  await using child = startCode(CHILD, {
    flags: ["-A", "--v8-flags=--expose-gc"],
    env: { CHILD: JSON.stringify({ url, count, mode }) },
    bound: 300_000,
  });
  const [, port = ""] = await child.said(/at (\d+)/);
  const open: Disposable[] = [];
  for (let n = 0; n < count + 20; n++) {
    if (url.startsWith("tcp")) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      open.push({ [Symbol.dispose]: () => conn.close() });
      continue;
    }
    const client = await rawClientAt(Number(port));
    await client.conn.write(client.confirm);
    if (mode !== "idle") client[Symbol.dispose]();
    else open.push(client);
  }
  const [, told = ""] = await child.said(/each (.*)/);
  for (const one of open) one[Symbol.dispose]();
  return JSON.parse(told);
}

Deno.test(`an idle session costs at most ${ABOVE} bytes more than an ordinary pipe`, async () => {
  const pipe = await each("tcp://127.0.0.1:0", IDLE, "idle");
  const session = await each("resume+tcp://127.0.0.1:0", IDLE, "idle");
  const more = Math.round(session.heap - pipe.heap);
  console.log(
    `idle, bytes each: pipe ${Math.round(pipe.heap)}, session ${
      Math.round(session.heap)
    }, ${more} more (rss ${Math.round(session.rss - pipe.rss)})`,
  );
  assert(more <= ABOVE, `${more} bytes`);
});

Deno.test("10,000 sessions that are suspended and empty cost at most 100 MiB", async () => {
  const { heap, rss } = await each("resume+tcp://127.0.0.1:0", AWAY, "away");
  // The system does not get all of the memory back that their handshakes have used; what that is shows without them.
  const gone = await each("resume+tcp://127.0.0.1:0", AWAY, "gone");
  const [held, resident] = [Math.round(heap), Math.round(rss - gone.rss)];
  console.log(
    `suspended, of ${AWAY}: ${held} bytes each; resident ${
      Math.round(rss)
    }, ${resident} more than of as many that are over`,
  );
  assert(10_000 * held <= SUSPENDED, `${held} bytes each`);
});
