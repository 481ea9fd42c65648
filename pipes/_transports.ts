/** The ways to carry pipes that are built in. */

import type { Transport } from "./address.ts";
import { execTransport } from "./_exec_transport.ts";
import { memoryTransport } from "./_memory_transport.ts";
import { tcpTransport } from "./_tcp_transport.ts";
import type { PipeTransport } from "./_transport.ts";
import { udpTransport } from "./_udp_transport.ts";
import { unixTransport } from "./_unix_transport.ts";

const BUILT_IN: readonly PipeTransport[] = [
  tcpTransport,
  udpTransport,
  unixTransport,
  memoryTransport,
  execTransport,
];

/**
 * Finds the one for a scheme.
 *
 * @param scheme The scheme.
 * @param more Those that the user brings, which come first.
 * @throws {TypeError} Where there is none.
 */
export function transportOf(scheme: Transport, more: readonly PipeTransport[] = []): PipeTransport {
  const found = [...more, ...BUILT_IN].find(({ schemes }) => schemes.includes(scheme));
  if (found) return found;
  const how = scheme === "ws" || scheme === "wss"
    ? 'import connect() and listen() from "@holdfast/net/pipes/ws", which brings npm:ws along'
    : 'give what carries it as one of the option "transports"';
  throw new TypeError(`Cannot use ${scheme}: ${how}`);
}
