/** Looks at the first bytes of a connection and leaves them where they are. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { POLLIN, whenReady } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { MAX_PEEK, type PeekedRoute, peekRoute } from "./peek_route.ts";
import { PushError } from "./push_error.ts";

/** How {@linkcode peekDescriptor} looks. */
export interface PeekOptions {
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * After how many milliseconds a client that has not said where it wants to go is given up.
   *
   * @default {5000}
   */
  readonly timeout?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock | undefined;
}

// bits/socket.h, asm-generic/poll.h, asm-generic/errno.h
const [MSG_PEEK, MSG_DONTWAIT, EAGAIN, EINTR] = [0x2, 0x40, 11, 4];
/** The other end has said that it sends no more. */
const POLLRDHUP = 0x2000;

const OPERATION = "tell where a connection goes";

/** A system that is told to wake for bytes wakes for those that are there already, so more of them are waited for by the clock. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [1, 50];

/** Nothing of it is kept from one look to the next. */
const SEEN = new Uint8Array(new ArrayBuffer(MAX_PEEK));

/**
 * Finds out where a connection wants to go. Nothing is read: whoever gets the socket next finds every byte.
 *
 * @param fd The connection's descriptor; it stays its owner's.
 * @param options How long that may take.
 * @returns The route, or `"unknown"` for one that speaks something else, or more than 16 KiB before it says where to.
 * @throws {PushError} `timeout` where the client is silent or slow, `closed` where it has gone.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 */
export function peekDescriptor(fd: number, options: PeekOptions = {}): Promise<PeekedRoute | "unknown"> {
  return peekWith(fd, peekRoute, options);
}

/**
 * Looks at a connection until its first bytes say what somebody wants to know. Nothing is read.
 *
 * @param fd The connection's descriptor; it stays its owner's.
 * @param read What is made of the bytes, of at most 16 KiB; `"more"` while it could still become something.
 * @param options How long that may take.
 * @returns What was made of them.
 * @throws {PushError} `timeout` where the client is silent or slow, `closed` where it has gone.
 * @throws {PermissionError} Without `--allow-ffi` for the C library.
 */
export async function peekWith<T>(
  fd: number,
  read: (bytes: Uint8Array) => T | "more",
  options: PeekOptions = {},
): Promise<T> {
  const { signal, timeout = 5000, clock = systemClock } = options;
  if (!(timeout >= 0)) {
    throw new RangeError(`Cannot ${OPERATION}: timeout must be a number from 0, got ${timeout}`);
  }
  signal?.throwIfAborted();
  using calls = needCalls(OPERATION);
  const { promise: over, reject } = Promise.withResolvers<never>();
  over.catch(() => {}); // also where nobody waits for it any more
  const timer = clock.after(
    timeout,
    () => reject(failed("timeout", `it was not said within ${timeout} ms`)),
    {
      ref: true,
    },
  );
  const aborted = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    let pause = FIRST_PAUSE;
    let before = 0;
    while (true) {
      const count = look(calls, fd);
      const made = read(SEEN.subarray(0, count));
      if (made !== "more") return made as T;
      pause = count > before ? FIRST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE);
      before = count;
      await waitForMore(fd, count === 0 ? null : pause, { over, clock, count });
    }
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", aborted);
  }
}

/** How many bytes there are; they are in the buffer then. */
function look(calls: SocketCalls, fd: number): number {
  while (true) {
    const count = calls.call.recv(fd, SEEN, BigInt(SEEN.length), MSG_PEEK | MSG_DONTWAIT);
    if (count > 0) return count;
    if (count === 0) throw failed("closed", "it ended before a word was said");
    const errno = calls.errno();
    if (errno === EAGAIN) return 0;
    if (errno !== EINTR) throw failed("closed", `error ${errno} of the system`);
  }
}

interface Waiting {
  readonly over: Promise<never>;
  readonly clock: Clock;
  readonly count: number;
}

/** Resolves when there are bytes, or after a pause where there are some already; rejects when there will be no more. */
async function waitForMore(fd: number, pause: number | null, { over, clock, count }: Waiting): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  using _ready = whenReady(fd, pause === null ? POLLIN : POLLRDHUP, () => {
    if (pause === null) resolve();
    else reject(failed("closed", `it ended after ${count} bytes`));
  });
  const timer = pause === null ? undefined : clock.after(pause, resolve, { ref: true });
  try {
    await Promise.race([promise, over]);
  } finally {
    timer?.cancel();
  }
}

function failed(code: "timeout" | "closed", why: string): PushError {
  return new PushError(`Cannot ${OPERATION}: ${why}`, { code, operation: OPERATION });
}
