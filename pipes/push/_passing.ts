/** Sockets on their way to a program that is being started. */

import { closeDescriptor } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { type StreamHandle, tcpHandleClass } from "./_internals.ts";
import { prepare, type Prepared } from "./_prepare.ts";
import type { BareSocket } from "./_pushable.ts";
import { PushError } from "./push_error.ts";

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
  readonly #prepared: Prepared[] = [];
  readonly #keep: boolean;
  /** By this it is done where the C library may not be asked. */
  readonly #Handle: HandleClass | undefined;
  /** What closes descriptors that are in the way. */
  readonly #low: (() => void)[] = [];
  #passed = false;
  #open = true;

  private constructor(keep: boolean, Handle: HandleClass | undefined) {
    this.#keep = keep;
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
    const passing = new Passing(keep, await tcpHandleClass());
    try {
      for (const socket of sockets) await passing.#add(socket);
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
    this.#passed = true;
    for (const prepared of this.#prepared) {
      if (done && !this.#keep) prepared.letGo();
      else prepared.giveBack();
    }
    for (const fd of this.#descriptors) this.#open = !setBlocking(fd, done && blocking, this.#Handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#passed) { for (const prepared of this.#prepared) prepared.giveBack(); }
    for (const close of this.#low) close();
    if (!this.#open) return;
    this.#open = false;
    using calls = tryCalls();
    for (const fd of this.#descriptors) await closeDescriptor(calls, fd);
  }

  async #add(socket: BareSocket | AdoptedListener): Promise<void> {
    if (isAdopted(socket)) {
      if (this.#keep) {
        throw new TypeError("Cannot keep an adopted listener beside a program: nothing uses it here");
      }
      this.#push(socket.release());
      return;
    }
    const prepared = await prepare(socket, { keep: this.#keep });
    this.#prepared.push(prepared);
    this.#push(prepared.descriptor);
    if (prepared.prefix.length === 0) return;
    throw new PushError("Cannot pass a socket to a program: some of it was read already, and would be lost", {
      code: "kind",
      operation: "pass a socket to a program",
      hint: "Accept it with pauseOnConnect: true, and pass it before anything is read",
    });
  }

  /** Those with numbers that are in the way get others; whoever prepared them has the first ones still. */
  #push(fd: number): void {
    using calls = tryCalls();
    const Handle = this.#Handle;
    if (fd >= FIRST_FREE || (!calls && !Handle)) {
      this.#descriptors.push(fd);
    } else if (calls) {
      this.#low.push(() => closeSoon(fd));
      this.#descriptors.push(
        calls.check(calls.call.fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE), "duplicate a descriptor"),
      );
    } else if (Handle) {
      const handle = new Handle(0);
      handle.open(fd);
      this.#low.push(() => handle.close());
      let high = handle.fdForIpc();
      for (; high >= 0 && high < FIRST_FREE; high = handle.fdForIpc()) {
        const low = high;
        this.#low.push(() => setBlocking(low, false, Handle));
      }
      this.#descriptors.push(high);
    }
  }
}

function closeSoon(fd: number): void {
  using calls = tryCalls();
  calls?.call.close(fd);
}

function isAdopted(socket: BareSocket | AdoptedListener): socket is AdoptedListener {
  return "release" in socket && typeof socket.release === "function";
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
