/** Opens carriers of a client's session: one attempt at a time, the connection and the handshake. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { parseIp } from "../../internal/ip.ts";
import { orAbort } from "../../recover/_or_abort.ts";
import { TimeoutError } from "../../recover/timeout.ts";
import { formatPipeAddress, type PipeUrl } from "../address.ts";
import type { Dialer, Link } from "../_link.ts";
import { PipeError } from "../pipe_error.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "./_client_handshake.ts";
import type { NewSession } from "./_handshake.ts";
import type { ReadyCarrier } from "./_session.ts";
import { SessionHandshakeError } from "./handshake_error.ts";

/** What TLS connections agree on by ALPN, and WebSockets by their subprotocol. */
export const ALPN = "holdfast/1";
export const SUBPROTOCOL = "holdfast.1";

/** How long a handshake may take, in milliseconds. */
export const HANDSHAKE = 5000;

/** A place that carriers lead to. */
export interface Endpoint {
  /** Where. */
  readonly place: PipeUrl;
  /** Opens a connection to it, one attempt a call. */
  readonly dial: Dialer;
}

/** A carrier that only waits for our CONFIRM, and the session where it is a new one. */
export interface DialledCarrier extends Omit<ReadyCarrier, "rest"> {
  /** What has to be sent before anything else. */
  readonly confirm: Uint8Array;
  /** The session that was agreed on. */
  readonly session: NewSession | null;
}

/** What is known of an attempt. */
export interface CarrierDialOptions {
  /** What the handshake is about. */
  readonly handshake: ClientHandshakeOptions;
  /** Whether bytes that nothing protects may leave the machine and its private networks. */
  readonly plain: boolean;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** Nobody asked for a session, in a protocol where that can be asked. */
export class NoSessionsError extends PipeError {
  /** The class's name. */
  override name = "NoSessionsError";
  /** The connection, which works for what it is. */
  readonly link: Link;

  constructor(link: Link) {
    super(`Cannot make a session with ${formatPipeAddress(link.remoteAddress)}: it offers none`, {
      code: "connect",
      operation: "make a session",
      hint: 'Without a session only resume: "prefer" or "off" will do',
    });
    this.link = link;
  }
}

/**
 * Opens a carrier.
 *
 * @param endpoint Where to.
 * @param options What is known of it.
 * @throws {NoSessionsError} When TLS or WebSocket say so; the connection in it is the caller's.
 * @throws {SessionHandshakeError} When the handshake fails.
 */
export async function dialCarrier(endpoint: Endpoint, options: CarrierDialOptions): Promise<DialledCarrier> {
  const { signal, handshake, plain, clock = systemClock } = options;
  const link = await endpoint.dial({ signal });
  const late = new AbortController();
  const timer = clock.after(HANDSHAKE, () => late.abort(new TimeoutError(HANDSHAKE)), { ref: true });
  const either = AbortSignal.any([signal, late.signal]);
  try {
    if (!speaksSessions(link)) throw new NoSessionsError(link);
    if (!handshake.seal && !plain) checkPrivate(link);
    return await orAbort(shake(link, new ClientHandshake(handshake), handshake.session?.epoch ?? 1), either);
  } catch (error) {
    if (!(error instanceof NoSessionsError)) link.abort();
    throw error;
  } finally {
    timer.cancel();
  }
}

/** How the connection protects what goes over it. */
export function secrecyOf(link: Link, sealed: boolean): "sealed" | "tls" | "plain" {
  if (sealed) return "sealed";
  return link.transport === "tls" || link.transport === "wss" ? "tls" : "plain";
}

async function shake(link: Link, handshake: ClientHandshake, epoch: number): Promise<DialledCarrier> {
  await link.write(handshake.start());
  const buffer = new Uint8Array(1024);
  for (;;) {
    const chunk = await link.read(buffer);
    if (!chunk) throw new Deno.errors.UnexpectedEof("The connection was closed during the handshake");
    const step = handshake.receive(chunk);
    if (step.type === "failed") throw new SessionHandshakeError(link.remoteAddress, step.failure);
    if (step.type === "wait" && step.send) await link.write(step.send);
    if (step.type !== "ready") continue;
    const { send: confirm, session, peerReceived, codec } = step;
    const intake = (bytes: Uint8Array): Uint8Array | null => {
      const last = handshake.receive(bytes);
      if (last.type === "failed") throw new SessionHandshakeError(link.remoteAddress, last.failure);
      return last.type === "stands" ? last.rest : null;
    };
    return { link, codec, epoch, peerReceived, intake, confirm, session };
  }
}

/** Whether sessions were agreed on where that can be done; elsewhere both ends were told. */
function speaksSessions({ transport, extra = {} }: Link): boolean {
  if (transport === "tls") return extra["alpn"] === ALPN;
  return transport === "ws" || transport === "wss" ? extra["protocol"] === SUBPROTOCOL : true;
}

/** Nothing that is not protected leaves the machine and its private networks unasked. */
function checkPrivate({ transport, remoteAddress }: Link): void {
  if (transport !== "tcp" && transport !== "ws" || !("hostname" in remoteAddress)) return;
  if (isPrivateAddress(remoteAddress.hostname)) return;
  throw new TypeError(
    `Cannot make a session with ${formatPipeAddress(remoteAddress)}: nothing protects it; use seal or TLS, ` +
      "or say plain: true at both ends",
  );
}

/**
 * Whether an address is this machine's own, or one of a private network (RFC 1918, RFC 4193, RFC 6598), or of a link.
 *
 * @param address The address; a name is none of those.
 */
export function isPrivateAddress(address: string): boolean {
  const bytes = parseIp(address.replace(/%.*$/, ""));
  const [a = 0, b = 0] = bytes ?? [];
  if (!bytes) return false;
  if (bytes.length === 4) {
    return a === 127 || a === 10 || a === 172 && (b & 0xf0) === 16 || a === 192 && b === 168 ||
      a === 169 && b === 254 || a === 100 && (b & 0xc0) === 64;
  }
  const isLoopback = bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
  return isLoopback || (a & 0xfe) === 0xfc || a === 0xfe && (b & 0xc0) === 0x80;
}
