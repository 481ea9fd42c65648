/** STUN servers as people type them. */

import { formatEndpoint, parseEndpoint } from "./endpoint.ts";

/**
 * Reads STUN servers: `HOST`, `HOST:PORT` or `stun:HOST:PORT`.
 *
 * @param texts As typed.
 * @returns The same with their ports; 3478 (RFC 8489, section 18.6) unless given.
 * @throws {UsageError} When one is none of these.
 */
export function parseStunServers(texts: readonly string[]): string[] {
  return texts.map((text) => formatEndpoint(parseEndpoint(text.replace(/^stun:(?!\/\/)/, ""), 3478)));
}
