/** Whose a connection is. */

import { addressKey } from "../../recover/_connections.ts";
import type { PipeAddress } from "../address.ts";
import type { Link } from "../_link.ts";

/** Whose session it is: a key where clients show one, else an address, a /64 in IPv6. */
export function peerOf(client: Uint8Array | null, link: Link): string {
  return client ? `key ${client.toHex()}` : `at ${addressKey(addrOf(link.remoteAddress)) ?? ""}`;
}

/** An address as the runtime has it. */
export function addrOf(address: PipeAddress): Deno.Addr {
  if ("hostname" in address) return { transport: "tcp", hostname: address.hostname, port: address.port };
  return { transport: "unix", path: address.transport === "unix" ? address.path : "" };
}

/** The same, the other way round. */
export function addressOf(address: Deno.Addr, transport: PipeAddress["transport"]): PipeAddress {
  if (transport === "unix") return { transport, path: "path" in address ? address.path : "" };
  if (transport === "memory") return { transport, name: "" };
  if (transport === "exec") return { transport, command: "" };
  const { hostname, port } = address as Deno.NetAddr;
  return { transport, hostname, port };
}
