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
 * Ends that the runtime is woken for a listener's connections (epoll(7)).
 *
 * @param copy Another descriptor of the listener, which nobody accepts on.
 * @returns Whether that was possible.
 */
export function stopAccepting(copy: number): boolean {
  using calls = mayUse("transplant") ? tryCalls() : null;
  if (!calls) return false;
  const listener = identityOf(calls, copy);
  if (listener === null) return false;
  const epolls: number[] = [];
  const own: number[] = [];
  for (const fd of openDescriptors(calls)) {
    const identity = identityOf(calls, fd);
    if (identity?.startsWith("anon_inode:[eventpoll]")) epolls.push(fd);
    else if (identity === listener && fd !== copy) own.push(fd);
  }
  const event = new Uint8Array(new ArrayBuffer(16));
  let done = false;
  for (const epoll of epolls) {
    for (const fd of own) done = calls.call.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, event) === 0 || done;
  }
  return done;
}
