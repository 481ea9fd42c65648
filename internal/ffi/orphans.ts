/**
 * Descriptors whose isolate is gone: `worker.terminate()` runs no code in the Worker, and the runtime knows nothing of
 * what was opened there through the C library. So each descriptor belongs to its thread, and whoever opens the library
 * next closes those whose thread has ended.
 */

import type { Libc } from "./libc_linux.ts";

const F_SETOWN = 8;
const F_SETSIG = 10;
const F_GETSIG = 11;
const F_SETOWN_EX = 15;
const F_GETOWN_EX = 16;
const F_OWNER_TID = 0;
const SIGIO = 29;

/** Numbers are given out from the lowest free one on, so beyond a gap like this there is hardly anything. */
const GAP = 256;

/** System call number of gettid(2), which the C libraries have not had for long. */
const GETTID = Deno.build.arch === "aarch64" ? 178n : 186n;

/**
 * Makes a descriptor the calling thread's: with O_ASYNC set that thread gets its SIGIO, and when the thread has ended
 * {@linkcode closeOrphans} closes it.
 *
 * @param libc The C library.
 * @param fd The descriptor.
 */
export function claim(libc: Libc, fd: number): void {
  // struct f_owner_ex { int type; pid_t pid; }, fcntl(2)
  const owner = new Int32Array([F_OWNER_TID, libc.call.syscall(GETTID)]);
  if (libc.call.fcntlOwner(fd, F_SETOWN_EX, new Uint8Array(owner.buffer)) < 0) {
    // A sandbox that knows the old call only: whichever thread gets the signal, the runtime hands it on.
    libc.check(libc.call.fcntl(fd, F_SETOWN, Deno.pid), "own descriptor");
    return;
  }
  // SIGIO is the default; named all the same, it marks the descriptor as ours.
  libc.check(libc.call.fcntl(fd, F_SETSIG, SIGIO), "own descriptor");
}

/**
 * Closes the descriptors that were claimed by threads which have ended.
 *
 * @param libc The C library.
 */
export function closeOrphans(libc: Libc): void {
  const owner = new Int32Array(2);
  const bytes = new Uint8Array(owner.buffer);
  let last = 0;
  for (let fd = 3; fd - last < GAP; fd++) {
    const signal = libc.call.fcntl(fd, F_GETSIG, 0);
    if (signal >= 0) last = fd;
    if (signal !== SIGIO || libc.call.fcntlOwner(fd, F_GETOWN_EX, bytes) !== 0) continue;
    // The kernel names thread 0 in place of one that is no more.
    if (owner[0] === F_OWNER_TID && owner[1] === 0) libc.call.close(fd);
  }
}
