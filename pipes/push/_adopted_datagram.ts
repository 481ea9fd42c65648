/** A socket for datagrams made of a descriptor. */

import type { Socket } from "node:dgram";
import type { HostAddress, UnixAddress } from "../address.ts";
import type { SocketKind } from "./_adopt.ts";
import { closeDescriptor } from "./_adopt.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { datagramHandleClass, mayUse } from "./_internals.ts";
import { PushError } from "./push_error.ts";

/** A socket for datagrams that was made of a descriptor. */
export interface AdoptedDatagram {
  /** The tag. */
  readonly kind: "datagram";
  /** What it is. */
  readonly transport: "udp";
  /** Its own address. */
  readonly localAddress: HostAddress | UnixAddress;
  /** Where it is connected to, `null` where it is not. */
  readonly remoteAddress: HostAddress | UnixAddress | null;
  /** The socket. Sending needs the permission `net`. */
  readonly socket: Socket;
  /** Closes it. */
  abandon(): void;
}

/**
 * Makes a socket of a descriptor, which it owns.
 *
 * @param fd The descriptor.
 * @param found What is known of it.
 * @throws {PushError} `descriptor` where the runtime has no way to do it; it is closed then.
 */
export async function adoptDatagram(fd: number, found: SocketKind): Promise<AdoptedDatagram> {
  const UDP = mayUse("datagram") ? await datagramHandleClass() : undefined;
  const handle = UDP && new UDP();
  if (!handle || handle.open(fd) !== 0) {
    handle?.close();
    using calls = tryCalls();
    await closeDescriptor(calls, fd);
    throw new PushError(`Cannot adopt descriptor ${fd}: this runtime makes no UDP socket of it`, {
      code: "descriptor",
      operation: "adopt a descriptor",
    });
  }
  const { createSocket } = await import("node:dgram");
  const six = "hostname" in found.local && found.local.hostname.includes(":");
  const socket = createSocket(six ? "udp6" : "udp4");
  // A handle is not among what bind() takes by its types.
  (socket as unknown as { bind(handle: unknown): void }).bind(handle);
  const { local, remote } = found;
  return {
    ...{ kind: "datagram", transport: "udp", localAddress: local, remoteAddress: remote, socket },
    abandon: () => void socket.close(),
  };
}
