/** `holdfast tunnel status`. */

import { wait } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { EXIT } from "./failure.ts";
import type { Context, Line } from "./spec.ts";
import { printable } from "./style.ts";
import { askControl, type ControlCommand, controlFolder, type TunnelStatus } from "./tunnel_control.ts";
import { wrong } from "./tunnel_options.ts";
import { formatDuration } from "./units.ts";

/** How often `--watch` looks, in milliseconds. */
const LOOK = 1000;

/** Shows the tunnels that run, or tells them to do something. */
export async function showTunnels(context: Context): Promise<number> {
  const { values, json, emit, print, signal } = context;
  const command: ControlCommand = values.flag("reconnect")
    ? "reconnect"
    : values.flag("drain")
    ? "drain"
    : "status";
  if (values.flag("reconnect") && values.flag("drain")) {
    throw wrong("status", '"--reconnect" and "--drain" exclude each other', "Leave out one of them");
  }
  for (let first = true;; first = false) {
    const all = await asked(values.text("control"), first ? command : "status");
    for (const one of all) {
      if (json) await emit(one as unknown as Line);
      else await print(shown(one));
    }
    if (!values.flag("watch")) return EXIT.fine;
    await wait(LOOK, { signal });
  }
}

async function asked(path: string | undefined, command: ControlCommand): Promise<readonly TunnelStatus[]> {
  if (path !== undefined) return [await askControl(path, command)];
  const folder = controlFolder();
  const none = new HoldfastError("Cannot show tunnels: none runs here", {
    code: "control",
    operation: "show tunnels",
    hint: 'Write "--control PATH" where the tunnel was given one',
  });
  if (folder === null) throw none;
  const all: TunnelStatus[] = [];
  for (const path of await socketsIn(folder)) {
    try {
      all.push(await askControl(path, command));
    } catch (error) {
      // What a process has left that was killed.
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
  if (all.length === 0) throw none;
  return all;
}

async function socketsIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return names.filter((name) => /^tunnel-\d+\.sock$/.test(name)).sort().map((name) => `${folder}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function shown({ side, pid, addresses, key, draining, connections }: TunnelStatus): string {
  const head = `${side} ${pid}, ${addresses.join(", ") || "standard input and output"}, ${key ?? "plain"}` +
    (draining ? ", takes no new connections" : "");
  const rows = connections.map((one) => {
    const { id, from, target, state, sent, received, roundTrip, resumes, suspended } = one;
    const trip = typeof roundTrip === "number" ? `, ${Math.round(roundTrip)} ms` : "";
    const waits = Number(suspended) > 0
      ? `, ${resumes} resumes after ${formatDuration(Number(suspended))}`
      : "";
    return `  ${String(id).slice(0, 8)} ${from}${target === null ? "" : ` to ${target}`}: ${state}${trip}, ` +
      `${sent} bytes there, ${received} back${waits}`;
  });
  return [head, ...rows].map(printable).join("\n");
}
