/**
 * A server of sessions that gives back what it gets, as a process of its own: `_echo_server.ts PORT STORE`. It goes on with the
 * sessions that are in the store, and puts its own there when it is told to end. Prints a line of JSON for each of these.
 */

import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { sqliteStore } from "../internal/store_sqlite.ts";

const [port = "0", path = ""] = Deno.args;
const store = await sqliteStore(path, { durability: "process" });
const server = await serveSessions(`resume+tcp://127.0.0.1:${port}`, { session: { window: 262_144 } });

/** What the application knows of each session: how many bytes it has given back. */
const counts = new Map<SessionPipe, number>();

async function echo(pipe: SessionPipe, count: number): Promise<void> {
  counts.set(pipe, count);
  try {
    for await (const bytes of pipe.messages) {
      counts.set(pipe, (counts.get(pipe) ?? 0) + bytes.length);
      await pipe.send(bytes);
    }
    await pipe.close();
  } catch { /* It is lost, or goes on in another process. */ }
  counts.delete(pipe);
}

function say(line: object): void {
  console.log(JSON.stringify(line));
}

const restored = await server.restore(store);
for (const { pipe, state } of restored) void echo(pipe, Number(new TextDecoder().decode(state)));

Deno.addSignalListener("SIGTERM", async () => {
  const sessions = await server.snapshot(store, {
    state: (pipe) => new TextEncoder().encode(String(counts.get(pipe) ?? "lost")),
  });
  await store[Symbol.asyncDispose]();
  say({ type: "saved", sessions });
  Deno.exit(0);
});

say({
  type: "listening",
  port: Number(new URL(server.url.replace("resume+tcp", "http")).port),
  sessions: restored.length,
});
for await (const pipe of server) void echo(pipe, 0);
