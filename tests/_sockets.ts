/** What the kernel says of the sockets of this process. */

import { libcPath } from "./_child.ts";

/** A TCP socket over IPv4. */
export interface SocketFacts {
  /** Its own port. */
  readonly port: number;
  /** Whether it listens. */
  readonly listening: boolean;
  /** Whether small writes go out at once. */
  readonly noDelay: boolean;
}

/** All of them. */
export function tcpSockets(): readonly SocketFacts[] {
  const library = Deno.dlopen(libcPath(), {
    getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  });
  const { getsockname, getsockopt } = library.symbols;
  const option = (fd: number, level: number, name: number): boolean => {
    const value = new Uint8Array(4);
    return getsockopt(fd, level, name, value, new Uint8Array([4, 0, 0, 0])) === 0 && value[0] === 1;
  };
  const sockets = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    const fd = Number(name);
    const address = new Uint8Array(16);
    const failed = getsockname(fd, address, new Uint8Array([16, 0, 0, 0])) !== 0;
    // AF_INET is 2.
    if (failed || address[0] !== 2) return [];
    const port = new DataView(address.buffer).getUint16(2);
    // SOL_SOCKET and SO_ACCEPTCONN, IPPROTO_TCP and TCP_NODELAY.
    return [{ port, listening: option(fd, 1, 30), noDelay: option(fd, 6, 1) }];
  });
  library.close();
  return sockets;
}
