/** Waits for many descriptors on one thread. */

import { acquireSockets, type SocketCalls } from "./socket_calls.ts";

/** Something can be read, or there is a connection to accept. */
export const POLLIN = 1;
/** Something can be written. */
export const POLLOUT = 4;

// asm-generic/fcntl.h, bits/socket.h
const [AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC] = [1, 1, 0x800, 0x80000];
const MSG_DONTWAIT = 0x40;

/** What rings the bell. */
const BYTE = new Uint8Array(new ArrayBuffer(1));

/** Who waits for a descriptor. */
interface Waiting {
  readonly fd: number;
  readonly events: number;
  readonly ready: (events: number) => void;
}

const waiting = new Set<Waiting>();
let loop: Promise<void> | undefined;
/** Where a byte ends the wait under way: the one end is polled, the other one written to. */
let bell: { readonly calls: SocketCalls; readonly heard: number; readonly rung: number } | undefined;
let rung = false;
/** Settled when the wait under way is over. */
let round: PromiseWithResolvers<void> = Promise.withResolvers();

/**
 * Calls back once when a descriptor is ready, or has failed.
 *
 * All that is waited for is polled by one thread, and a process in which something is waited for lives on. A descriptor that is
 * closed must not be waited for any more: dispose first, close then.
 *
 * @param fd The descriptor.
 * @param events {@linkcode POLLIN}, {@linkcode POLLOUT}, or both.
 * @param ready Called with what is the case, failures and ends included.
 * @returns What ends the waiting; safe after the call.
 */
export function whenReady(fd: number, events: number, ready: (events: number) => void): Disposable {
  const entry: Waiting = { fd, events, ready };
  waiting.add(entry);
  start();
  return {
    [Symbol.dispose]() {
      if (waiting.delete(entry)) ring();
    },
  };
}

/**
 * Resolves when what was disposed of is not polled any more, and the thread is free if nothing else is waited for.
 */
export async function pollEnded(): Promise<void> {
  if (waiting.size === 0) return await loop;
  ring();
  await round.promise;
}

function start(): void {
  if (loop) return ring();
  loop = run().finally(() => {
    loop = undefined;
    // Somebody may have come in the same turn.
    if (waiting.size > 0) start();
  });
}

/** Ends the wait under way, so that the next one knows what has changed. */
function ring(): void {
  if (!bell || rung) return;
  rung = true;
  bell.calls.call.send(bell.rung, BYTE, 1n, MSG_DONTWAIT);
}

async function run(): Promise<void> {
  using calls = acquireSockets();
  const pair = new Int32Array(new ArrayBuffer(8));
  calls.check(
    calls.call.socketpair(
      AF_UNIX,
      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
      0,
      new Uint8Array(pair.buffer),
    ),
    "wake the poll thread",
  );
  const [heard = -1, rungEnd = -1] = pair;
  bell = { calls, heard, rung: rungEnd };
  const drop = new Uint8Array(new ArrayBuffer(64));
  // struct pollfd { int fd; short events; short revents; }
  let polled = new ArrayBuffer(64 * 8);
  try {
    while (waiting.size > 0) {
      const entries = [...waiting];
      if (polled.byteLength < (entries.length + 1) * 8) polled = new ArrayBuffer((entries.length + 1) * 16);
      const view = new DataView(polled);
      view.setInt32(0, heard, true);
      view.setInt32(4, POLLIN, true);
      entries.forEach(({ fd, events }, index) => {
        view.setInt32((index + 1) * 8, fd, true);
        view.setInt32((index + 1) * 8 + 4, events, true);
      });
      rung = false;
      round = Promise.withResolvers();
      await calls.call.poll(new Uint8Array(polled), BigInt(entries.length + 1), -1);
      if (view.getInt16(6, true) !== 0) calls.call.recv(heard, drop, 64n, MSG_DONTWAIT);
      round.resolve();
      // What is waited for anew from here on is in the next round anyway.
      rung = true;
      entries.forEach((entry, index) => {
        const events = view.getInt16((index + 1) * 8 + 6, true);
        if (events !== 0 && waiting.delete(entry)) entry.ready(events);
      });
    }
  } finally {
    bell = undefined;
    calls.call.close(heard);
    calls.call.close(rungEnd);
  }
}
