/** What is to be done with a socket before it can be handed over. */

import type { Socket } from "node:net";
import type { Detached, TcpPipe, UnixPipe } from "../pipe.ts";
import { type AdoptedKind, closeDescriptor } from "./_adopt.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { findDescriptor } from "./_descriptor.ts";
import { detach, type DetachPlan, planDetach } from "./_detach.ts";
import { handleOf, mayUse } from "./_internals.ts";
import { type BareSocket, describe, type Described } from "./_pushable.ts";
import { PushError } from "./push_error.ts";

const NOTHING = new Uint8Array(0);

/** A socket that nobody here reads from. */
export interface Prepared {
  /** Another descriptor of it; whoever asked owns it. */
  readonly descriptor: number;
  /** What it is. */
  readonly kind: AdoptedKind;
  /** What was read from it already. */
  readonly prefix: Uint8Array;
  /** Lets go of it without a word to the other end; the other descriptor must be open still. */
  letGo(): void;
  /** Puts back what was taken out of it; returns what is left of a pipe. */
  giveBack(): Detached | null;
}

/**
 * Finds the descriptor, and collects what was read ahead. A pipe is over by that.
 *
 * @param given A pipe, what is left of one, or a socket.
 * @param options What was read before, and whether the socket is to stay.
 * @throws {PushError} Where it cannot be handed over; nothing is lost then, of a pipe the error has what is left.
 * @throws {TypeError} Where something is under way on it.
 */
export async function prepare(
  given: TcpPipe | UnixPipe | Detached | BareSocket,
  { prefix = new Uint8Array(0), keep }: { readonly prefix?: Uint8Array | undefined; readonly keep: boolean },
): Promise<Prepared> {
  const detached = isPipe(given) ? await given.detach() : isDetached(given) ? given : null;
  const socket = (detached ? detached.connection : given) as BareSocket;
  try {
    const described = describe(socket);
    const { fd } = await findDescriptor(described);
    const plan = keep ? null : await planned(described, fd);
    const stopped = described.what === "node-socket" ? await stoppedOr(described.socket, fd) : null;
    return {
      descriptor: fd,
      kind: described.kind,
      prefix: joined([prefix, detached?.unread ?? NOTHING, stopped?.ahead ?? NOTHING]),
      letGo: () => void (plan && detach(described, fd, plan)),
      giveBack() {
        stopped?.restart();
        return detached;
      },
    };
  } catch (error) {
    if (detached && error instanceof PushError) throw error.with(detached);
    throw error;
  }
}

/** The plan; the descriptor is closed where there is none. */
async function planned(described: Described, fd: number): Promise<DetachPlan> {
  try {
    return await planDetach(described, fd);
  } catch (error) {
    using calls = tryCalls();
    await closeDescriptor(calls, fd);
    throw error;
  }
}

/** Stops a socket; the descriptor is closed where that cannot be done. */
async function stoppedOr(socket: Socket, fd: number): Promise<Stopped> {
  try {
    return stop(socket);
  } catch (error) {
    using calls = tryCalls();
    await closeDescriptor(calls, fd);
    throw error;
  }
}

/** What a socket of Node's part had read ahead, and what makes it go on. */
interface Stopped {
  readonly ahead: Uint8Array;
  restart(): void;
}

/** Stops a socket of Node's part, and takes what it has read ahead. */
function stop(socket: Socket): Stopped {
  if (socket.destroyed) throw new TypeError("Cannot push: the socket is destroyed");
  if (socket.writableLength > 0) throw new TypeError("Cannot push: something is still to be written");
  socket.pause();
  const handle = mayUse("handle") ? handleOf(socket) : undefined;
  if (!handle?.readStop && (socket.bytesRead > 0 || socket.readableDidRead)) {
    throw new PushError("Cannot push: this runtime cannot stop a socket that reads", {
      code: "detach",
      operation: "push a socket",
      hint: "Accept it with pauseOnConnect: true, and push it before anything is read",
    });
  }
  const reading = handle?.reading === true;
  const parts: Uint8Array[] = [];
  // A socket that flows, as one does whose last listener has gone, gives its pieces one by one.
  while (socket.readableLength > 0) {
    const part: Uint8Array | null = socket.read();
    if (!part) break;
    parts.push(part);
  }
  const ahead = joined(parts);
  // Asking for what is there has made it read on.
  handle?.readStop?.();
  if (handle) handle.reading = false;
  return {
    ahead,
    restart() {
      if (ahead.length > 0) socket.unshift(ahead);
      if (!handle || (!reading && ahead.length === 0)) return;
      handle.readStart?.();
      handle.reading = true;
    },
  };
}

function isPipe(given: object): given is TcpPipe | UnixPipe {
  return typeof (given as { readonly detach?: unknown }).detach === "function" && "transport" in given;
}

function isDetached(given: object): given is Detached {
  return "connection" in given && "unread" in given;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const some = parts.filter(({ length }) => length > 0);
  if (some.length < 2) return some[0] ?? new Uint8Array(0);
  const bytes = new Uint8Array(some.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of some) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
