/** What goes with a running tunnel besides what it tells: its control socket, and a line for the person at the terminal. */

import { systemClock, type Timer } from "../internal/clock.ts";
import type { TunnelConnection } from "../pipes/tunnel/tunnel.ts";
import type { Context } from "./spec.ts";
import { controlFolder, type Controlled, serveControl } from "./tunnel_control.ts";
import { formatDuration } from "./units.ts";

/** How often the line is written, in milliseconds. */
const LOOK = 1000;

/**
 * Makes a tunnel known to `tunnel status`, and shows it at a terminal.
 *
 * @param controlled The tunnel.
 * @param context Where to show it.
 */
export async function showLive(controlled: Controlled, context: Context): Promise<AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const socket = await control(controlled, context);
  if (socket) stack.use(socket);
  stack.defer(followed(controlled, context));
  return stack;
}

async function control(
  controlled: Controlled,
  { values, note }: Context,
): Promise<AsyncDisposable | undefined> {
  const path = values.text("control");
  if (path !== undefined) return await serveControl(path, controlled);
  const folder = controlFolder();
  if (folder === null) return undefined;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    return await serveControl(`${folder}/tunnel-${Deno.pid}.sock`, controlled);
  } catch (error) {
    // Nobody asked for it.
    await note(
      `Cannot be asked by "holdfast tunnel status": ${error instanceof Error ? error.message : error}`,
    );
    return undefined;
  }
}

/** Shows the line again and again; returns what ends that. */
function followed({ tunnel }: Controlled, { live, json }: Context): () => Promise<void> {
  if (json) return () => Promise.resolve();
  let timer: Timer;
  const look = (): void => {
    void live(liveLine(tunnel.connections)).catch(() => {}); // nobody reads it any more
    timer = systemClock.after(LOOK, look);
  };
  look();
  return async () => {
    timer.cancel();
    await live("").catch(() => {}); // nobody reads it any more
  };
}

/** All connections in one line. */
export function liveLine(connections: readonly TunnelConnection[]): string {
  const waiting = connections.filter(({ state }) => state === "suspended");
  const trips = connections.flatMap(({ roundTrip }) => roundTrip === null ? [] : [roundTrip]);
  const sum = (of: (one: TunnelConnection) => number): string =>
    size(connections.reduce((n, one) => n + of(one), 0));
  const longest = Math.max(0, ...waiting.map(({ suspended }) => suspended));
  return [
    `${connections.length - waiting.length} open`,
    ...waiting.length > 0 ? [`${waiting.length} waiting for the link, ${formatDuration(longest)}`] : [],
    `${sum(({ sent }) => sent)} there, ${sum(({ received }) => received)} back`,
    ...trips.length > 0 ? [`${Math.round(Math.min(...trips))} ms`] : [],
  ].join(" | ");
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}
