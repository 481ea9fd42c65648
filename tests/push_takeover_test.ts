/** Servers that take over from each other while clients come and go. */

import { assert, assertEquals } from "@std/assert";
import { readLines } from "./_takeover_lines.ts";
import { requires, scale } from "./_require.ts";

const PROGRAM = new URL("_takeover_server.ts", import.meta.url).pathname;

interface Running {
  readonly status: Promise<Deno.CommandStatus>;
  /** The next line of output, `null` at its end. */
  line(): Promise<string | null>;
}

function start(...args: string[]): Running & AsyncDisposable {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", PROGRAM, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let over = false;
  const status = child.status.finally(() => over = true);
  const lines = readLines(child.stdout);
  return {
    status,
    line: async () => (await lines.next()).value ?? null,
    async [Symbol.asyncDispose]() {
      if (!over) child.kill("SIGKILL");
      await status;
      await lines.return();
    },
  };
}

/** What became of requests: answered by a generation, or how they failed. */
type Outcomes = Map<string, number>;

/** One client: a connection for each request, one after another. */
async function ask(port: number, outcomes: Outcomes, over: AbortSignal): Promise<void> {
  for (let index = 0; !over.aborted; index++) {
    let outcome: string;
    try {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      try {
        const path = index % 3 === 0 ? "/slow" : "/";
        await conn.write(
          new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
        );
        let text = "";
        const chunk = new Uint8Array(4096);
        for (let size = await conn.read(chunk); size !== null; size = await conn.read(chunk)) {
          text += new TextDecoder().decode(chunk.subarray(0, size));
        }
        outcome = /generation \d+/.exec(text)?.[0] ?? (text === "" ? "empty" : `strange: ${text}`);
      } finally {
        conn.close();
      }
    } catch (error) {
      outcome = (error as Error).name;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
}

/** 24 clients, from the beginning of something to its end. */
async function underLoad(port: number, something: () => Promise<void>): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  const over = new AbortController();
  const clients = Array.from({ length: 24 }, () => ask(port, outcomes, over.signal));
  try {
    await something();
  } finally {
    over.abort();
    await Promise.all(clients);
  }
  return outcomes;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function assertServed(outcomes: Outcomes, generations: number): void {
  const failures = [...outcomes].filter(([outcome]) => !outcome.startsWith("generation "));
  assertEquals(failures, []);
  const asked = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
  console.log(JSON.stringify({ requests: asked, generations: outcomes.size, failed: 0 }));
  assert(outcomes.size >= generations, `only ${[...outcomes.keys()]} have answered`);
}

Deno.test({
  name: "servers take over from each other, and no client is refused, reset or left without an answer",
  ...requires({ os: ["linux"] }),
}, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const path = `${directory}/takeover`;
  const port = freePort();
  let old = stack.use(start(path, String(port)));
  assertEquals(await old.line(), "ready 1");
  const takeovers = scale(10, 100);
  const outcomes = await underLoad(port, async () => {
    for (let generation = 2; generation <= takeovers + 1; generation++) {
      const next = stack.use(start(path));
      assertEquals(await next.line(), `ready ${generation}`);
      assertEquals(await old.line(), "drained");
      assertEquals((await old.status).code, 0);
      old = next;
    }
    // The last one answers, too.
    const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: "close" } });
    assertEquals(await response.text(), `generation ${takeovers + 1}`);
  });
  assertServed(outcomes, takeovers + 1);
});

Deno.test({
  name: "a successor that crashes or hangs before it is ready costs no request, and the next one takes over",
  ...requires({ os: ["linux"] }),
}, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const path = `${directory}/takeover`;
  const port = freePort();
  const old = stack.use(start(path, String(port)));
  assertEquals(await old.line(), "ready 1");
  const outcomes = await underLoad(port, async () => {
    for (let round = 0; round < scale(2, 20); round++) {
      const crashing = stack.use(start(path, "0", "crash"));
      assertEquals(await crashing.line(), 'state {"from":1}');
      assertEquals((await crashing.status).signal, "SIGKILL");
      assertEquals(await old.line(), "failed: it ended before it was ready");
    }
    await using hanging = start(path, "0", "hang");
    assertEquals(await hanging.line(), "hanging");
    assertEquals(await old.line(), "failed: it was not ready within 2000 ms");
    const next = stack.use(start(path));
    assertEquals(await next.line(), "ready 2");
    assertEquals(await old.line(), "drained");
  });
  assertServed(outcomes, 2);
});
