/** `holdfast signal listen`. */

import type { Message } from "../signal/message.ts";
import { EXIT } from "./failure.ts";
import { join } from "./signal_options.ts";
import type { Context, Line } from "./spec.ts";
import { printable } from "./style.ts";

/** A message that came; a line of `--json`. */
export interface SignalMessageLine extends Line {
  /** The tag. */
  readonly type: "message";
  /** The sender's id. */
  readonly from: string;
  /** How many bytes it has. */
  readonly bytes: number;
  /** It as text, or `null` where it is no UTF-8. */
  readonly text: string | null;
  /** It in base64 where it is no text, else `null`. */
  readonly base64: string | null;
}

/** Writes a line for each message, until it is ended. */
export async function runListen(context: Context): Promise<number> {
  const { values, json, emit, print, note } = context;
  await using joined = await join("listen", context);
  const { peer } = joined;
  await note(`Listening as ${peer.id}`);
  let left = values.number("count") ?? Infinity;
  for await (const message of peer) {
    const line = lineOf(message);
    if (json) await emit(line);
    else await print(`${line.from} ${line.text === null ? `base64:${line.base64}` : printable(line.text)}`);
    if (--left <= 0) break;
  }
  return EXIT.fine;
}

function lineOf({ from, data }: Message): SignalMessageLine {
  const text = textOf(data);
  const base64 = text === null ? new Uint8Array(data).toBase64() : null;
  return { type: "message", from, bytes: data.length, text, base64 };
}

function textOf(data: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    // It is none.
    return null;
  }
}
