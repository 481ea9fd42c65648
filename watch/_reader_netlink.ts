/** The reader of the kernel's tables, with the resolver's files, by the C library alone. */

import { acquireLibc } from "../internal/ffi/libc_linux.ts";
import { readDnsByLibc } from "./_dns_linux.ts";
import { NetlinkReader } from "./_read_netlink.ts";
import type { Reader } from "./_readers.ts";

/** Reads the kernel's tables by netlink. */
export function netlinkReader(): Reader {
  const stack = new DisposableStack();
  try {
    const libc = stack.use(acquireLibc());
    const reader = stack.use(new NetlinkReader(libc));
    const owned = stack.move();
    return {
      name: "netlink",
      read: () => reader.read(readDnsByLibc(libc)),
      [Symbol.dispose]: () => owned.dispose(),
    };
  } catch (error) {
    stack.dispose();
    throw error;
  }
}
