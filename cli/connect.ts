/** One TCP connection, to see whether it comes about. */

import { connect as nodeConnect } from "node:net";
import { PermissionError } from "../internal/errors.ts";
import { flagsOf, withPermission } from "../internal/permissions.ts";
import type { Family } from "../watch/state.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";

/**
 * Connects and hangs up.
 *
 * @param target Where to.
 * @param family The only family to use; any, if `undefined`.
 * @param signal Ends the attempt.
 * @returns The address that answered, as `HOST:PORT`.
 * @throws {PermissionError} Without `--allow-net` for the target.
 */
export async function connectOnce(
  target: Endpoint,
  family: Family | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (family !== undefined) return await connectByFamily(target, family, signal);
  const operation = `connect to ${formatEndpoint(target)}`;
  const need = { name: "net", host: formatEndpoint(target) } as const;
  using connection = await withPermission(operation, [need], () => Deno.connect({ ...target, signal }));
  return formatEndpoint(connection.remoteAddr);
}

/** `Deno.connect()` cannot be told a family, and looking the name up first would need a permission for each address. */
function connectByFamily(target: Endpoint, family: Family, signal: AbortSignal): Promise<string> {
  const { hostname: host, port } = target;
  return new Promise((resolve, reject) => {
    const socket = nodeConnect({ host, port, family, signal, autoSelectFamily: false });
    socket.once("connect", () => {
      const { remoteAddress = host, remotePort = port } = socket;
      socket.destroy();
      resolve(formatEndpoint({ hostname: remoteAddress, port: remotePort }));
    });
    socket.once("error", (error: Error & { readonly code?: string }) => {
      socket.destroy();
      const refused = error.code === "EPERM" || error instanceof Deno.errors.NotCapable;
      const need = { name: "net", host: formatEndpoint(target) } as const;
      reject(refused ? new PermissionError(`connect to ${need.host}`, flagsOf([need]), error) : error);
    });
  });
}
