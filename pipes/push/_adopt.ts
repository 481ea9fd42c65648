/** Descriptors from elsewhere become connections, listeners and sockets for datagrams of this process. */

import { inspectSocket, normaliseSocket, type SocketFacts } from "../../internal/ffi/descriptors.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import type { SocketName } from "../../internal/ffi/socket_layouts.ts";
import type { HostAddress, UnixAddress } from "../address.ts";
import { hostAddress } from "../_conn_link.ts";
import { adoptDatagram, type AdoptedDatagram } from "./_adopted_datagram.ts";
import { AdoptedListener } from "./_adopted_listener.ts";
import { type AdoptedStream, adoptStream } from "./_adopted_stream.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { identifyByHandle } from "./_identify_by_handle.ts";
import { tcpHandleClass } from "./_internals.ts";
import { PushError } from "./push_error.ts";

/** What a descriptor can become. */
export type AdoptedKind = "stream" | "listener" | "datagram";

/** What a descriptor has become; whoever has it owns the descriptor. */
export type Adopted = AdoptedStream | AdoptedListener | AdoptedDatagram;

/** What {@linkcode adopt} takes. */
export interface AdoptOptions<K extends AdoptedKind = AdoptedKind> {
  /**
   * What it must be; anything else is closed.
   *
   * @default {undefined} Whatever it is. Without the C library and the runtime's handles that cannot be told, and it counts as
   * a stream.
   */
  readonly expect?: K | undefined;
  /**
   * What was read from a stream already, and is to be read again first.
   *
   * @default {undefined} Nothing.
   */
  readonly prefix?: Uint8Array | undefined;
}

/** What is known of a socket before it is adopted. */
export interface SocketKind {
  readonly kind: AdoptedKind;
  readonly transport: "tcp" | "udp" | "unix";
  readonly local: HostAddress | UnixAddress;
  /** `null` where it is not connected. */
  readonly remote: HostAddress | UnixAddress | null;
}

/** A socket that was looked at, and the number it has now. */
interface Found extends SocketKind {
  readonly fd: number;
}

/**
 * Adopts a descriptor, which belongs to this call from the beginning: what is no socket, or none of the kind that is
 * expected, is closed.
 *
 * With the C library the stranger is looked at and made to behave: not inherited, not blocking, nothing that delays
 * closing. Without it the runtime's handles tell what it is, and SO_LINGER stays as it was.
 *
 * @param fd The descriptor.
 * @param options What it must be, and what was read from it.
 * @returns What it has become.
 * @throws {PushError} `kind` when it is something else; it is closed then.
 */
export async function adopt<K extends AdoptedKind = AdoptedKind>(
  fd: number,
  options: AdoptOptions<K> = {},
): Promise<Extract<Adopted, { readonly kind: K }>> {
  if (!Number.isInteger(fd) || fd < 0) {
    throw new RangeError(`Cannot adopt a descriptor: a whole number from 0 is needed, got ${fd}`);
  }
  const { expect, prefix } = options;
  using calls = tryCalls();
  const facts = calls && identify(calls, fd);
  const found = calls ? facts && { ...facts, fd } : await identifyByHandle(fd, expect);
  if (found === null || (expect !== undefined && found.kind !== expect)) {
    // What a handle could not take it has closed.
    if (calls || found) await closeDescriptor(calls, found?.fd ?? fd);
    throw new PushError(`Cannot adopt descriptor ${fd}: ${wrongKind(found, expect)}`, {
      code: "kind",
      operation: "adopt a descriptor",
    });
  }
  if (calls) normaliseSocket(calls, fd);
  return await made(found, prefix) as Extract<Adopted, { readonly kind: K }>;
}

/** What a socket is, `null` for what cannot be adopted. */
export function identify(calls: SocketCalls, fd: number): SocketKind | null {
  const facts = inspectSocket(calls, fd);
  return facts && kindOf(facts);
}

/** Closes a descriptor that nobody has adopted. */
export async function closeDescriptor(calls: SocketCalls | null, fd: number): Promise<void> {
  if (calls) {
    calls.call.close(fd);
    return;
  }
  const TCP = await tcpHandleClass();
  if (!TCP) return;
  const handle = new TCP(0);
  handle.open(fd);
  handle.close();
}

async function made(found: Found, prefix: Uint8Array | undefined): Promise<Adopted> {
  if (found.kind === "listener") return new AdoptedListener(found.fd, found);
  if (found.kind === "datagram") return await adoptDatagram(found.fd, found);
  return await adoptStream(found.fd, found, prefix);
}

function kindOf({ type, family, listening, local, remote }: SocketFacts): SocketKind | null {
  if (type === "other" || family === "other" || local === null) return null;
  if (type === "datagram") {
    if (family === "unix") return null;
    return {
      kind: "datagram",
      transport: "udp",
      local: addressOf(local, "udp"),
      remote: named(remote, "udp"),
    };
  }
  const transport = family === "unix" ? "unix" : "tcp";
  const kind = listening ? "listener" : "stream";
  // A stream that is neither connected nor listening is of no use to anybody.
  if (kind === "stream" && remote === null) return null;
  return { kind, transport, local: addressOf(local, transport), remote: named(remote, transport) };
}

function named(name: SocketName | null, transport: "tcp" | "udp" | "unix"): HostAddress | UnixAddress | null {
  return name && addressOf(name, transport);
}

function addressOf(name: SocketName, transport: "tcp" | "udp" | "unix"): HostAddress | UnixAddress {
  if (name.family === "unix") return { transport: "unix", path: name.path };
  const hostname = name.zone === 0 ? name.hostname : `${name.hostname}%${name.zone}`;
  return hostAddress(transport === "udp" ? "udp" : "tcp", { hostname, port: name.port });
}

function wrongKind(found: SocketKind | null, expect: AdoptedKind | undefined): string {
  if (found === null) return "it is no connected or listening socket";
  return `a ${expect} is needed, and it is a ${found.kind}`;
}
