/** `holdfast signal send`. */

import { TextLines } from "./text_lines.ts";
import { DeliveryError } from "../signal/delivery_error.ts";
import { EXIT } from "./failure.ts";
import { join } from "./signal_options.ts";
import type { Context, Line } from "./spec.ts";

/** A message has arrived; a line of `--json`. */
export interface ReceiptLine extends Line {
  /** The tag. */
  readonly type: "receipt";
  /** The recipient's id. */
  readonly to: string;
  /** The number of the message, from 1. */
  readonly message: number;
  /** The brokers that delivered it, as URLs. */
  readonly brokers: readonly string[];
  /** Milliseconds from sending to the acknowledgement. */
  readonly milliseconds: number;
  /** How often it was sent. */
  readonly attempts: number;
}

/** A message was not acknowledged; a line of `--json`. */
export interface UndeliveredLine extends Line {
  /** The tag. */
  readonly type: "undelivered";
  /** The recipient, as it was given. */
  readonly to: string;
  /** The number of the message, from 1. */
  readonly message: number;
  /** A stable name of the reason. */
  readonly code: string;
  /** Why. */
  readonly reason: string;
}

/** How long there is to deliver a message where nothing is said, in milliseconds. */
const TTL = 30_000;

/** So many messages are on their way before the next line is read. */
const AT_ONCE = 64;

/** Sends each message, and writes a line for each that has arrived, or has not. */
export async function runSend(context: Context): Promise<number> {
  const { values, json, emit, print, complain, stdin } = context;
  await using joined = await join("send", context);
  const { peer } = joined;
  const to = values.text("to") ?? "";
  const ttl = values.number("ttl") ?? TTL;
  const given = values.list("message");
  const pending = new Set<Promise<void>>();
  let undelivered = 0;
  let message = 0;
  const send = async (number: number, text: string): Promise<void> => {
    try {
      const { brokers, milliseconds, attempts, to: id } = await peer.send(to, text, { ttl });
      const line: ReceiptLine = { type: "receipt", to: id, message: number, brokers, milliseconds, attempts };
      if (json) await emit(line);
      else await print(`${number}: delivered in ${milliseconds.toFixed(0)} ms by ${brokers.join(", ")}`);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      undelivered++;
      const { code, message: reason } = error;
      if (json) await emit<UndeliveredLine>({ type: "undelivered", to, message: number, code, reason });
      else await complain(`${number}: ${reason}`);
    }
  };
  let failure: { readonly error: unknown } | undefined;
  const lines = given.length > 0 ? given : new TextLines(stdin);
  for await (const text of lines) {
    const sending: Promise<void> = send(++message, text)
      .catch((error) => void (failure ??= { error }))
      .finally(() => pending.delete(sending));
    pending.add(sending);
    if (pending.size >= AT_ONCE) await Promise.race(pending);
    if (failure || context.signal.aborted) break;
  }
  await Promise.all(pending);
  if (failure) throw failure.error;
  return undelivered > 0 ? EXIT.failed : EXIT.fine;
}
