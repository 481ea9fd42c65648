/** Sockets on their way to a program that is being started. */

import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { closeDescriptor } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { findDescriptor } from "./_descriptor.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { detach, detachWay } from "./_detach.ts";
import { type StreamHandle, tcpHandleClass } from "./_internals.ts";
import { type BareSocket, describe } from "./_pushable.ts";

/** More numbers than this could be some that the runtime needs while it starts a program. */
export const MOST_PASSED = 16;

/** Numbers from here on are nobody's place in the program, so that none is overwritten before it has been put into its own. */
const FIRST_FREE = 3 + MOST_PASSED;

// asm-generic/fcntl.h, linux/fcntl.h
const [F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, O_NONBLOCK] = [3, 4, 1030, 0x800];

type HandleClass = new (type: 0) => StreamHandle;

/** Sockets on their way: second descriptors of them, and how the first ones are let go. */
export class Passing implements AsyncDisposable {
  readonly #descriptors: number[] = [];
  readonly #letGo: (() => void)[] = [];
  /** By this it is done where the C library may not be asked. */
  readonly #Handle: HandleClass | undefined;
  #open = true;

  private constructor(Handle: HandleClass | undefined) {
    this.#Handle = Handle;
  }

  /**
   * Gets sockets ready.
   *
   * @param sockets Them.
   * @param keep Whether this process goes on with them.
   * @throws {PushError} When one of them cannot be handed over.
   */
  static async of(sockets: readonly (BareSocket | AdoptedListener)[], keep: boolean): Promise<Passing> {
    const passing = new Passing(await tcpHandleClass());
    try {
      for (const socket of sockets) await passing.#add(socket, keep);
      return passing;
    } catch (error) {
      await passing[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The descriptors, in order. */
  get descriptors(): readonly number[] {
    return this.#descriptors;
  }

  /**
   * In the turn in which the runtime has made them blocking, which they must not be where anybody still waits for them.
   *
   * @param done Whether the program has them.
   * @param blocking Whether they are to be blocking then.
   */
  passed(done: boolean, blocking: boolean): void {
    if (done) { for (const letGo of this.#letGo) letGo(); }
    for (const fd of this.#descriptors) this.#open = !setBlocking(fd, done && blocking, this.#Handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    using calls = tryCalls();
    for (const fd of this.#descriptors) await closeDescriptor(calls, fd);
  }

  async #add(socket: BareSocket | AdoptedListener, keep: boolean): Promise<void> {
    if (isAdopted(socket)) {
      if (keep) throw new TypeError("Cannot keep an adopted listener beside a program: nothing uses it here");
      this.#push(socket.release());
      return;
    }
    const described = describe(socket);
    const way = keep ? null : await detachWay(described);
    const { fd } = await findDescriptor(described);
    this.#push(fd);
    if (!keep) this.#letGo.push(() => detach(described, fd, way));
  }

  #push(fd: number): void {
    using calls = tryCalls();
    this.#descriptors.push(raised(fd, calls, this.#Handle));
  }
}

function isAdopted(socket: BareSocket | AdoptedListener): socket is AdoptedListener {
  return "release" in socket && typeof socket.release === "function";
}

/** Gives a descriptor a number that is out of the way. */
function raised(fd: number, calls: SocketCalls | null, Handle: HandleClass | undefined): number {
  if (fd >= FIRST_FREE) return fd;
  if (calls) {
    const high = calls.check(calls.call.fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE), "duplicate a descriptor");
    calls.call.close(fd);
    return high;
  }
  if (!Handle) return fd;
  const handle = new Handle(0);
  handle.open(fd);
  const low: number[] = [];
  let high = handle.fdForIpc();
  for (; high >= 0 && high < FIRST_FREE; high = handle.fdForIpc()) low.push(high);
  handle.close();
  for (const number of low) setBlocking(number, false, Handle);
  return high;
}

/**
 * Says whether calls on a socket wait, which belongs to the socket, and so to all who have it. Without the C library the
 * descriptor is closed.
 *
 * @returns Whether it was.
 */
function setBlocking(fd: number, blocking: boolean, Handle: HandleClass | undefined): boolean {
  using calls = tryCalls();
  if (calls) {
    const flags = calls.call.fcntl(fd, F_GETFL, 0);
    if (flags >= 0) calls.call.fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
    return false;
  }
  if (!Handle) return false;
  // A handle makes what it takes not wait.
  const handle = new Handle(0);
  handle.open(fd);
  if (blocking) handle.setBlocking?.(true);
  handle.close();
  return true;
}
