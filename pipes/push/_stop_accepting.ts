/**
 * A server of this process accepts no more, and goes on with what it has accepted. What servers offer for that ends idle
 * connections at once, and to them a connection is idle as well whose first request is still on its way.
 */

import { identityOf, openDescriptors } from "../../internal/ffi/descriptors.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { mayUse } from "./_internals.ts";

// sys/epoll.h
const EPOLL_CTL_DEL = 2;

/**
 * Finds the descriptors by which this process accepts, when the one that is given is only a copy.
 *
 * @param copy Another descriptor of the listener.
 */
export function acceptingDescriptors(copy: number): readonly number[] {
  using calls = mayUse("transplant") ? tryCalls() : null;
  const listener = calls && identityOf(calls, copy);
  if (!calls || listener === null) return [];
  return [...openDescriptors(calls)].filter((fd) => fd !== copy && identityOf(calls, fd) === listener);
}

/**
 * Ends that the runtime is woken for a listener's connections (epoll(7)).
 *
 * @param copy Another descriptor of the listener, which nobody accepts on.
 * @param accepting What {@linkcode acceptingDescriptors} has found; others of the listener may be a successor's.
 * @returns Whether that was possible.
 */
export function stopAccepting(copy: number, accepting: readonly number[]): boolean {
  using calls = accepting.length > 0 ? tryCalls() : null;
  if (!calls) return false;
  const listener = identityOf(calls, copy);
  const epolls = [...openDescriptors(calls)]
    .filter((fd) => identityOf(calls, fd)?.startsWith("anon_inode:[eventpoll]"));
  const event = new Uint8Array(new ArrayBuffer(16));
  let done = false;
  for (const fd of accepting) {
    // It may have been closed meanwhile, and the number be another's.
    if (identityOf(calls, fd) !== listener) continue;
    for (const epoll of epolls) done = calls.call.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, event) === 0 || done;
  }
  return done;
}
