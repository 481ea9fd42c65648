/** Binding a socket to an interface, which only the system's own call can do. */

import type { Socket } from "node:dgram";
import { HoldfastError } from "../internal/errors.ts";
import { acquireLibc, cString, systemError } from "../internal/ffi/libc_linux.ts";

// asm-generic/socket.h, the same on x86-64 and AArch64.
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

const ENODEV = 19;

/**
 * Binds a socket to an interface: from then on it sends and receives there and nowhere else (socket(7), SO_BINDTODEVICE;
 * from Linux 5.7 on without privileges).
 *
 * Needs `--allow-ffi` for the C library. `node:dgram` hides the descriptor; the copy that it makes to give a socket to
 * another process is the same socket, and a setting of one is a setting of both.
 *
 * @param socket The socket, bound.
 * @param device The interface's name.
 * @param operation What is being done, for messages.
 * @throws {HoldfastError} `unsupported` where there is no such thing; what the system says against it.
 * @throws {PermissionError} Without the permission.
 */
export function bindToDevice(socket: Socket, device: string, operation: string): void {
  if (Deno.build.os !== "linux") throw unsupported(operation, device, `${Deno.build.os} has no such call`);
  using libc = acquireLibc();
  const fd = descriptorOf(socket);
  if (fd < 0) throw unsupported(operation, device, "the runtime does not give the socket's descriptor");
  try {
    const name = cString(device);
    if (libc.call.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) === 0) return;
    const errno = libc.errno();
    if (errno !== ENODEV) throw systemError(errno, `bind to the interface "${device}"`);
    throw new HoldfastError(`Cannot ${operation}: there is no interface "${device}"`, {
      code: "no-interface",
      operation,
    });
  } finally {
    libc.call.close(fd);
  }
}

/** A copy of the socket's descriptor, or -1. */
function descriptorOf(socket: Socket): number {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kStateSymbol");
  type Inside = Readonly<Record<symbol, { readonly handle?: { fdForIpc?(): number } } | undefined>>;
  const inside = key && (socket as unknown as Inside)[key];
  return inside?.handle?.fdForIpc?.() ?? -1;
}

function unsupported(operation: string, device: string, why: string): HoldfastError {
  return new HoldfastError(
    `Cannot ${operation}: binding to the interface "${device}" is not possible, ${why}`,
    {
      code: "unsupported",
      operation,
      hint: "Bind to an address of the interface instead: via: { address }",
    },
  );
}
