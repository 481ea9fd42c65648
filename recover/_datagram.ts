/** One datagram, sent into the void. */

import { HoldfastError, isNotCapable, PermissionError } from "../internal/errors.ts";
import { flagsOf, type Need, permissionState, wouldPrompt } from "../internal/permissions.ts";

/**
 * Sends one empty datagram.
 *
 * Needs the permission `net` for the address and port, and to bind (`0.0.0.0:0` or `[::]:0`).
 *
 * @param address An IP address, a link-local one with its zone.
 * @param port The port.
 * @throws {PermissionError} When the runtime forbids it, or would have to ask a person.
 * @throws {HoldfastError} `send` when the system refuses.
 */
export async function sendDatagram(address: string, port: number): Promise<void> {
  const six = address.includes(":");
  const any = six ? "::" : "0.0.0.0";
  const operation = `send a datagram to ${address}`;
  const needs = [bracketed(address, port), bracketed(any, 0)].map((host): Need => ({ name: "net", host }));
  if (wouldPrompt(needs)) throw new PermissionError(operation, flagsOf(needs));
  // Loaded only when used: it costs some 10 ms.
  const { createSocket } = await import("node:dgram");
  const socket = createSocket({
    type: six ? "udp6" : "udp4",
    ipv6Only: six,
    // Addresses are never names here. Answering at once makes bind() throw what it refuses, instead of later and to nobody.
    lookup: (name, _options, callback) => callback(null, name, six ? 6 : 4),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const settle = (error?: Error | null): void => error ? reject(error) : resolve();
  socket.on("error", settle);
  try {
    socket.bind({ address: any, port: 0 }, () => socket.send(new Uint8Array(0), port, address, settle));
    await promise;
  } catch (cause) {
    // The runtime hides what it forbids to send behind an unknown error of the system; that it may bind is no proof.
    const refused = isNotCapable(cause) || needs.some((need) => permissionState(need) !== "granted");
    if (refused) throw new PermissionError(operation, flagsOf(needs), cause);
    throw new HoldfastError(`Cannot ${operation}: the system refuses it`, { code: "send", operation, cause });
  } finally {
    socket.close();
  }
}

/** An address without zone and a port, as permissions name them. */
export function bracketed(address: string, port: number): string {
  const [plain = ""] = address.split("%");
  return plain.includes(":") ? `[${plain}]:${port}` : `${plain}:${port}`;
}
