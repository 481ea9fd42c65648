/** The server's part of a handshake, on a connection that came: bytes are moved, and nobody gets more than his time. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { Link } from "../_link.ts";
import type { ConfirmedStep, WelcomedStep } from "./_handshake.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import { ServerHandshake, type ServerHandshakeOptions } from "./_server_handshake.ts";

/** What is known of a handshake. */
export interface AcceptCarrierOptions {
  /** What it is about. */
  readonly handshake: ServerHandshakeOptions;
  /** Keeps a session that is offered, before the client learns of it. */
  readonly welcomed: (step: WelcomedStep) => void;
  /** How many milliseconds it may take. */
  readonly timeout: number;
  /** Source of time. */
  readonly clock?: Clock | undefined;
}

/** The longest thing that comes before CONFIRM is HELLO. */
const LONGEST = 512;

/**
 * Waits until a client has proven itself.
 *
 * @param link The connection; it is ended where that comes to nothing.
 * @param options What is known.
 * @returns Which session goes on over it.
 * @throws {SessionHandshakeError} When the handshake fails.
 * @throws What else went wrong, as the runtime gave it.
 */
export async function acceptCarrier(link: Link, options: AcceptCarrierOptions): Promise<ConfirmedStep> {
  const { handshake, welcomed, timeout, clock = systemClock } = options;
  let late = false;
  const timer = clock.after(timeout, () => {
    late = true;
    link.abort();
  });
  try {
    return await shake(link, new ServerHandshake(handshake), welcomed);
  } catch (error) {
    link.abort();
    throw late ? new Deno.errors.TimedOut(`Cannot accept a session: no proof within ${timeout} ms`) : error;
  } finally {
    timer.cancel();
  }
}

async function shake(
  link: Link,
  handshake: ServerHandshake,
  welcomed: (step: WelcomedStep) => void,
): Promise<ConfirmedStep> {
  const buffer = new Uint8Array(LONGEST);
  for (;;) {
    const chunk = await link.read(buffer);
    if (!chunk) throw new Deno.errors.UnexpectedEof("The connection was closed during the handshake");
    const step = handshake.receive(chunk);
    if (step.type === "confirmed") return step;
    if (step.type === "welcomed") welcomed(step);
    if (step.send) await link.write(step.send);
    if (step.type !== "failed") continue;
    await link.close();
    throw new SessionHandshakeError(link.remoteAddress, step.failure);
  }
}
