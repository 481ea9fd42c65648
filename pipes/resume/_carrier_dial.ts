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

/** How long the connection below may take, in milliseconds: a network that drops everything would keep us for minutes. */
const CONNECTION = 10_000;

/** A place that carriers lead to. */
export interface Endpoint {
  /** Where. */
  readonly place: PipeUrl;
  /** The same as text. */
  readonly url: string;
  /** Whether a proxy stands in between, so that the address of the connection says nothing about its way. */
  readonly proxied: boolean;
  /** Opens a connection to it, one attempt a call. */
  readonly dial: Dialer;
}

/** A carrier that only waits for our CONFIRM, and the session where it is a new one. */
export interface DialledCarrier extends Omit<ReadyCarrier, "rest"> {
  /** Makes what has to be sent before anything else, when this carrier takes over. */
  readonly confirm: () => Uint8Array;
  /** The session that was agreed on. */
  readonly session: NewSession | null;
}

/** What is known of an attempt. */
export interface CarrierDialOptions {
  /** What the handshake is about. */
  readonly handshake: ClientHandshakeOptions;
  /** Whether bytes that nothing protects may leave the machine and its private networks. */
  readonly plain: boolean;
  /** Whether a connection without a session is of use to the caller, who gets it in the error. @default {false} */
  readonly ordinary?: boolean;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** The other end has no sessions, and has said so where that can be said: in TLS, or in the request for a WebSocket. */
export class NoSessionsError extends PipeError {
  /** The class's name. */
  override name = "NoSessionsError";
  /** The connection, where the caller wanted it. */
  readonly link: Link | null;

  constructor(where: string, link: Link | null, cause?: unknown) {
    super(`Cannot make a session with ${where}: it offers none`, {
      code: "connect",
      operation: "make a session",
      hint: 'Without a session only resume: "prefer" or "off" will do',
      cause,
    });
    this.link = link;
  }
}

/**
 * Opens a carrier: one attempt, which obeys the signal even where the connection below does not.
 *
 * @param endpoint Where to.
 * @param options What is known of it.
 * @throws {NoSessionsError} When TLS or WebSocket say so.
 * @throws {SessionHandshakeError} When the handshake fails.
 * @throws {TypeError} When nothing would protect it.
 */
export async function dialCarrier(endpoint: Endpoint, options: CarrierDialOptions): Promise<DialledCarrier> {
  const { signal, handshake, plain, ordinary = false, clock = systemClock } = options;
  const link = await within(CONNECTION, clock, signal, async (signal) => {
    const opening = endpoint.dial({ signal });
    try {
      return await orAbort(opening, signal);
    } catch (error) {
      // One that comes all the same is for nobody.
      opening.then((late) => late.abort(), () => {});
      if (isUnoffered(error)) throw new NoSessionsError(formatPipeAddress(endpoint.place), null, error);
      throw error;
    }
  });
  try {
    if (!speaksSessions(link)) {
      throw new NoSessionsError(formatPipeAddress(link.remoteAddress), ordinary ? link : null);
    }
    if (!handshake.seal && !plain) checkPrivate(link, endpoint.proxied);
    const epoch = handshake.session?.epoch ?? 1;
    return await within(HANDSHAKE, clock, signal, (signal) => {
      return orAbort(shake(link, new ClientHandshake(handshake), epoch), signal);
    });
  } catch (error) {
    if (!(error instanceof NoSessionsError && error.link)) link.abort();
    throw error;
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
    const { session, peerReceived, codec } = step;
    const confirm = (): Uint8Array => step.send;
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
function checkPrivate({ transport, remoteAddress }: Link, proxied: boolean): void {
  if (transport !== "tcp" && transport !== "ws" || !("hostname" in remoteAddress)) return;
  if (!proxied && isPrivateAddress(remoteAddress.hostname)) return;
  const where = `${formatPipeAddress(remoteAddress)}${proxied ? " through a proxy" : ""}`;
  throw new TypeError(
    `Cannot make a session with ${where}: nothing protects it; use seal or TLS, or say plain: true at both ends`,
  );
}

/** Whether a server has opened a WebSocket without any of the subprotocols that were offered; the library ends it then. */
function isUnoffered(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false;
  const below: readonly unknown[] = error instanceof AggregateError ? error.errors : [error.cause];
  return /: Server sent no subprotocol$/.test(error.message) ||
    below.some((one) => isUnoffered(one, depth + 1));
}

async function within<T>(
  milliseconds: number,
  clock: Clock,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = clock.after(milliseconds, () => late.abort(new TimeoutError(milliseconds)), { ref: true });
  try {
    return await work(AbortSignal.any([signal, late.signal]));
  } finally {
    timer.cancel();
  }
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
