/** The control socket of `holdfast tunnel`: how a running tunnel is asked how it does, and told to do something. */

import { systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import type { Tunnel } from "../pipes/tunnel/tunnel.ts";
import { timed } from "./tunnel_report.ts";

/** What can be asked for. */
export type ControlCommand = "status" | "reconnect" | "drain";

/** What a tunnel says of itself; a line of `--json`. */
export interface TunnelStatus {
  /** The tag. */
  readonly type: "tunnelstatus";
  /** When, in milliseconds since 1970 or as text. */
  readonly at: number | string;
  /** Which end it is. */
  readonly side: "serve" | "connect";
  /** Its process. */
  readonly pid: number;
  /** Since when it runs, RFC 3339. */
  readonly since: string;
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Its key by its fingerprint, or `null` where it is plain. */
  readonly key: string | null;
  /** Whether it takes no new connection any more. */
  readonly draining: boolean;
  /** The connections, as `TunnelConnection` with times as text. */
  readonly connections: readonly Readonly<Record<string, unknown>>[];
}

/** What a control socket serves. */
export interface Controlled {
  /** Which end. */
  readonly side: "serve" | "connect";
  /** Its key. */
  readonly key: string | null;
  /** The tunnel. */
  readonly tunnel: Tunnel & { readonly reconnect?: () => Promise<number> };
}

/** How long a request may be, and take. */
const [MAX_REQUEST, PATIENCE] = [1024, 5000];

/** Where sockets lie where nothing else is said; `null` where there is no folder that is only ours. */
export function controlFolder(): string | null {
  try {
    const runtime = Deno.env.get("XDG_RUNTIME_DIR");
    if (runtime) return `${runtime}/holdfast`;
    return Deno.build.os !== "windows" && Deno.uid() === 0 ? "/run/holdfast" : null;
  } catch {
    // Not allowed to know.
    return null;
  }
}

/**
 * Serves a control socket, with mode 0600.
 *
 * @param path Where; one that a dead process has left is replaced.
 * @param controlled What it is about.
 */
export async function serveControl(path: string, controlled: Controlled): Promise<AsyncDisposable> {
  await removeDead(path);
  const before = Deno.umask(0o177);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } finally {
    Deno.umask(before);
  }
  const since = new Date().toISOString();
  const running = new Set<Promise<void>>();
  const state = { draining: false };
  const serving = (async () => {
    for await (const conn of listener) {
      const done = serveOne(conn, controlled, since, state).catch(() => {}).finally(() =>
        running.delete(done)
      );
      running.add(done);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      await Promise.all(running);
      await Deno.remove(path).catch(() => {}); // gone already
    },
  };
}

/**
 * Asks a tunnel.
 *
 * @param path Its socket.
 * @param command What for.
 */
export async function askControl(path: string, command: ControlCommand): Promise<TunnelStatus> {
  const operation = `ask the tunnel at "${path}"`;
  try {
    using conn = await Deno.connect({ transport: "unix", path });
    await conn.write(new TextEncoder().encode(`${JSON.stringify({ command })}\n`));
    const answer = JSON.parse(await new Response(conn.readable).text());
    if (answer?.type === "tunnelstatus") return answer;
    throw new HoldfastError(`Cannot ${operation}: ${answer?.message ?? "it answered something else"}`, {
      code: "control",
      operation,
    });
  } catch (error) {
    const isGone = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused;
    if (!isGone && !(error instanceof SyntaxError)) throw error;
    const why = isGone ? "no tunnel runs there" : "what answers there is no tunnel";
    throw new HoldfastError(`Cannot ${operation}: ${why}`, { code: "control", operation, cause: error });
  }
}

async function serveOne(
  conn: Deno.UnixConn,
  { side, key, tunnel }: Controlled,
  since: string,
  state: { draining: boolean },
): Promise<void> {
  using _conn = conn;
  const timer = systemClock.after(PATIENCE, () => conn.close());
  let command: unknown;
  try {
    command = JSON.parse(await readLine(conn)).command;
  } finally {
    timer.cancel();
  }
  const say = async (line: unknown): Promise<void> => {
    const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  if (command === "drain") {
    state.draining = true;
    // It ends the tunnel, which ends the process.
    void tunnel.drain().catch(() => {});
  } else if (command === "reconnect") {
    if (!tunnel.reconnect) return await say({ type: "error", message: "only the client's end can connect" });
    await tunnel.reconnect();
  } else if (command !== "status") return await say({ type: "error", message: "it knows no such command" });
  const status: TunnelStatus = {
    ...{ type: "tunnelstatus", at: new Date().toISOString(), side, pid: Deno.pid, since } as const,
    ...{ addresses: tunnel.addresses, key, draining: state.draining },
    connections: tunnel.connections.map(timed),
  };
  await say(status);
}

async function readLine(conn: Deno.UnixConn): Promise<string> {
  const buffer = new Uint8Array(MAX_REQUEST);
  let length = 0;
  while (!buffer.subarray(0, length).includes(10)) {
    const count = length < MAX_REQUEST ? await conn.read(buffer.subarray(length)) : null;
    if (count === null) throw new SyntaxError("Cannot read the request: it is no line");
    length += count;
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

async function removeDead(path: string): Promise<void> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path);
  }
}
