/** What a descriptor is, where the C library may not be asked: by the runtime's handles for sockets. */

import type { HostAddress } from "../address.ts";
import { hostAddress } from "../_conn_link.ts";
import type { AdoptedKind, SocketKind } from "./_adopt.ts";
import {
  datagramHandleClass,
  descriptorTeller,
  mayUse,
  type StreamHandle,
  tcpHandleClass,
  unixHandleClass,
} from "./_internals.ts";

/** What is known of a descriptor, and its number from now on. */
type Found = SocketKind & { readonly fd: number };

interface Name {
  address?: string;
  port?: number;
}

/**
 * Finds out what a descriptor is. It becomes another one of the same socket, which other programs do not inherit.
 *
 * @param fd The descriptor; it is gone afterwards, except where it is given back as it is.
 * @param expect What it is, as far as its owner knows; where the handles do not tell, that counts.
 * @returns What it is, and its number; `null` where it is nothing that can be adopted, and closed.
 */
export async function identifyByHandle(fd: number, expect: AdoptedKind | undefined): Promise<Found | null> {
  const tell = mayUse("handle") ? await descriptorTeller() : undefined;
  switch (tell?.(fd)) {
    case "TCP":
      return await identifyTcp(fd);
    case "PIPE":
      return await identifyUnix(fd);
    case "UNKNOWN":
      return await identifyDatagram(fd);
    case undefined:
      return withoutName(expect ?? "stream", fd);
    default:
      // What is no socket at all is closed by that.
      await dropped(fd);
      return null;
  }
}

async function identifyTcp(fd: number): Promise<Found | null> {
  const TCP = await tcpHandleClass();
  const handle = TCP && new TCP(0);
  if (handle?.open(fd) !== 0) return null;
  const [local, remote]: [Name, Name] = [{}, {}];
  handle.getsockname?.(local);
  const isConnected = handle.getpeername?.(remote) === 0;
  const own = reborn(handle);
  if (own === undefined) return null;
  return {
    kind: isConnected ? "stream" : "listener",
    transport: "tcp",
    local: host("tcp", local),
    remote: isConnected ? host("tcp", remote) : null,
    fd: own,
  };
}

/** These have no names to be asked for; but what is connected cannot be made to listen (EINVAL), and what is a pipe neither. */
async function identifyUnix(fd: number): Promise<Found | null> {
  const Unix = await unixHandleClass();
  const handle = Unix && new Unix(1);
  if (handle?.open(fd) !== 0) return null;
  const result = handle.listen(511);
  const own = reborn(handle);
  const isSocket = result === 0 || result === -22;
  if (own !== undefined && !isSocket) {
    await dropped(own);
  }
  return own === undefined || !isSocket ? null : withoutName(result === 0 ? "listener" : "stream", own);
}

async function identifyDatagram(fd: number): Promise<Found | null> {
  const UDP = mayUse("datagram") ? await datagramHandleClass() : undefined;
  // The public way behind it does not make sockets of descriptors; whoever adopts says so.
  if (!UDP) return withoutName("datagram", fd);
  const handle = new UDP();
  const [local, remote]: [Name, Name] = [{}, {}];
  if (handle.open(fd) !== 0) return null;
  const isNamed = handle.getsockname?.(local) === 0;
  const isConnected = handle.getpeername?.(remote) === 0 && remote.address !== undefined;
  const own = reborn(handle);
  if (own === undefined || !isNamed) return null;
  return {
    kind: "datagram",
    transport: "udp",
    local: host("udp", local),
    remote: isConnected ? host("udp", remote) : null,
    fd: own,
  };
}

/** Another descriptor of the same socket, in place of the one that the handle has. */
function reborn(handle: Pick<StreamHandle, "fdForIpc" | "close">): number | undefined {
  const own = handle.fdForIpc();
  handle.close();
  return own < 0 ? undefined : own;
}

async function dropped(fd: number): Promise<void> {
  const TCP = await tcpHandleClass();
  const handle = TCP && new TCP(0);
  handle?.open(fd);
  handle?.close();
}

function host(transport: "tcp" | "udp", { address = "", port = 0 }: Name): HostAddress {
  return hostAddress(transport, { hostname: address, port });
}

function withoutName(kind: AdoptedKind, fd: number): Found {
  return {
    kind,
    transport: kind === "datagram" ? "udp" : "unix",
    local: { transport: "unix", path: "" },
    remote: kind === "stream" ? { transport: "unix", path: "" } : null,
    fd,
  };
}
