/** What `holdfast tunnel` tells while it runs: lines for programs, remarks for people, complaints for the log. */

import type { KeyPair, SharedKey } from "../pipes/resume/key_text.ts";
import type { Tunnel, TunnelConnection, TunnelEvent } from "../pipes/tunnel/tunnel.ts";
import type { Context, Line } from "./spec.ts";
import { printable } from "./style.ts";
import { formatDuration } from "./units.ts";

/** Something that happened to a connection; a line of `--json`. The others have the fields of their `TunnelEvent`. */
export interface TunnelLine extends Line {
  /** The tag. */
  readonly type: "tunnel" | "tunnellistening" | "tunnelrefused" | "tunnelkeys" | "tunneltrouble";
}

/** All that is told. */
const EVENTS: readonly TunnelEvent["type"][] = [
  ...["listening", "open", "suspended", "resumed", "migrated", "end"] as const,
  ...["refused", "authorized", "trouble"] as const,
];

/** Which end of a tunnel it is. */
export interface ReportOptions {
  /** Which one. */
  readonly side: "serve" | "connect";
  /** What all connections lead to, or `null`. */
  readonly target: string | null;
}

/** Tells a person which key it is, to compare it with that of the other end. */
export async function tellKey(key: SharedKey | KeyPair | undefined, { json, note }: Context): Promise<void> {
  if (json) return;
  await note(key ? `Key ${key.fingerprint}` : "Plain: no key, and nothing of ours is encrypted");
}

/**
 * Tells what happens in a tunnel.
 *
 * @param tunnel The tunnel.
 * @param context Where to tell it.
 * @param options Which end it is.
 */
export async function reportTunnel(
  tunnel: Tunnel,
  { json, emit, note, complain }: Context,
  { target }: ReportOptions,
): Promise<Disposable> {
  const stack = new DisposableStack();
  // Whoever closed standard output ends nobody's connection.
  const quiet = (done: Promise<void>): void => void done.catch(() => {});
  const tell = (event: TunnelEvent): void => {
    if (json) quiet(emit(lineOf(event)));
    const text = textOf(event);
    if (isBad(event)) quiet(complain(printable(text)));
    else if (!json) quiet(note(printable(text)));
  };
  for (const type of EVENTS) stack.use(tunnel.on(type, tell));
  // It listens already.
  const at = Date.now();
  for (const address of tunnel.addresses) {
    const event = { type: "listening", at, address, target, side: "here" } as const;
    if (json) await emit(lineOf(event));
    else await note(printable(textOf(event)));
  }
  return stack;
}

function lineOf(event: TunnelEvent): TunnelLine {
  switch (event.type) {
    case "listening":
    case "refused":
    case "trouble":
      return { ...event, type: `tunnel${event.type}` };
    case "authorized":
      return { ...event, type: "tunnelkeys" };
    default: {
      const { type, at, connection } = event;
      const failure = type === "end" ? event.failure : null;
      return Object.assign({ type: "tunnel", at, event: type, failure } as const, {
        connection: timed(connection),
      });
    }
  }
}

/** A connection as programs get it: times as text, milliseconds without the fractions that nobody needs. */
export function timed(connection: TunnelConnection): Readonly<Record<string, unknown>> {
  const { since, suspended, roundTrip } = connection;
  return {
    ...connection,
    since: new Date(since).toISOString(),
    roundTrip: roundTrip === null ? null : Math.round(roundTrip * 1000) / 1000,
    suspended: Math.round(suspended),
  };
}

/** What belongs into a log, although nothing has ended by it. */
function isBad(event: TunnelEvent): boolean {
  return event.type === "refused" || event.type === "trouble" ||
    event.type === "end" && event.failure !== null;
}

function textOf(event: TunnelEvent): string {
  switch (event.type) {
    case "listening":
      return `Listening on ${event.address}${event.target ? ` for ${event.target}` : ""}` +
        (event.side === "server" ? " at the server" : "");
    case "open":
      return `${named(event.connection)} is open`;
    case "suspended":
      return `${named(event.connection)} waits for the link`;
    case "resumed":
      return `${named(event.connection)} goes on, after ${
        formatDuration(event.connection.suspended)
      } of waiting in all`;
    case "migrated":
      return `${named(event.connection)} has moved to another link`;
    case "end": {
      const { sent, received } = event.connection;
      const why = event.failure ? `: ${event.failure.message}` : "";
      return `${named(event.connection)} has ended, ${sent} bytes there, ${received} back${why}`;
    }
    case "refused":
      return `No connection from ${event.from}${event.target ? ` to ${event.target}` : ""}: ${event.message}`;
    case "authorized":
      return `The list of keys was read again: ${event.keys} keys, ${event.ended} connections ended`;
    case "trouble":
      return event.message;
  }
}

function named({ id, from, target }: TunnelConnection): string {
  return `${id.slice(0, 8)} from ${from}${target ? ` to ${target}` : ""}`;
}
