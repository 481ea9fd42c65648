/** A UDP socket: the one place that touches `node:dgram` (the runtime's own datagrams need an unstable flag). */

import type { RemoteInfo, Socket, SocketOptions } from "node:dgram";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { flagsOf, permissionState, withPermission } from "../internal/permissions.ts";
import type { Endpoint } from "./_stun.ts";
import type { Family } from "./state.ts";

const ANY: Readonly<Record<Family, string>> = { 4: "0.0.0.0", 6: "::" };

/** How a socket is opened. */
export interface UdpOptions {
  /** Its family; a socket of family 6 takes no IPv4. */
  readonly family: Family;
  /**
   * The address to bind.
   *
   * @default all addresses of the family
   */
  readonly address?: string | undefined;
  /**
   * The port to bind.
   *
   * @default a free one
   */
  readonly port?: number;
  /**
   * Whether the open socket keeps the process alive.
   *
   * @default {false}
   */
  readonly ref?: boolean;
  /** Gets each datagram and where it came from. */
  readonly onMessage: (bytes: Uint8Array, from: Omit<Endpoint, "family">) => void;
}

/** An open socket. */
export interface UdpSocket {
  /** Where it is bound. */
  readonly local: Omit<Endpoint, "family">;
  /**
   * Sends a datagram; without effect after close.
   *
   * @throws {PermissionError} When the runtime does not let us send there.
   * @throws {HoldfastError} With code `"send"` when the system does not (it does not say why).
   */
  send(bytes: Uint8Array, to: Omit<Endpoint, "family">): Promise<void>;
  /** Closes it at once; safe twice. (The `close` event of `node:dgram` may never come, so nobody waits for it.) */
  close(): void;
}

/**
 * Opens a UDP socket.
 *
 * Needs the permission `net` for the address and port it binds (`0.0.0.0:0` or `[::]:0` unless told otherwise) and for
 * each address it sends to.
 *
 * @param options What to bind, and who gets the datagrams.
 * @throws {PermissionError} When the runtime does not let us bind.
 * @throws {HoldfastError} With code `"bind"` when the system does not.
 */
export async function openUdp(options: UdpOptions): Promise<UdpSocket> {
  const { family, address = ANY[family], port = 0, ref = false, onMessage } = options;
  // Imported late: it costs some 10 ms, and most watchers never open a socket.
  const { createSocket } = await import("node:dgram");
  const socket = createSocket(socketOptions(family));
  socket.on("message", (bytes: Uint8Array, from: RemoteInfo) => onMessage(bytes, from));
  if (!ref) socket.unref();
  const host = hostOf({ address, port });
  await withPermission(
    `open UDP socket on ${host}`,
    [{ name: "net", host }],
    () => bind(socket, address, port),
  );
  // Windows reports a peer's closed port here (WSAECONNRESET); it ends nothing, and the silence is noticed anyway.
  socket.on("error", () => {});
  let open = true;
  return {
    local: socket.address(),
    send: async (bytes, to) => {
      try {
        if (open) await send(socket, bytes, to);
      } catch (error) {
        // What was on its way when the socket was closed is nobody's matter any more.
        if (open) throw error;
      }
    },
    close: () => {
      if (open) socket.close();
      open = false;
    },
  };
}

/** An address and a port as one writes them together. */
export function hostOf({ address, port }: Omit<Endpoint, "family">): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What a socket of a family is bound to, as permissions name it. */
export function bindHost(family: Family, address: string = ANY[family]): string {
  return hostOf({ address, port: 0 });
}

function socketOptions(family: Family): SocketOptions {
  return {
    type: family === 4 ? "udp4" : "udp6",
    ipv6Only: family === 6,
    // Addresses are never names here. Answering at once makes bind() throw what it refuses, instead of later and to nobody.
    lookup: (address, _options, callback) => callback(null, address, family),
  };
}

function bind(socket: Socket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error & { readonly code?: string }): void => {
      const why = `Cannot open UDP socket on ${hostOf({ address, port })}: ${cause.code ?? cause.message}`;
      reject(new HoldfastError(why, { code: "bind", operation: "open UDP socket", cause }));
    };
    socket.once("error", refused);
    socket.bind({ address, port }, () => {
      socket.off("error", refused);
      resolve();
    });
  });
}

function send(socket: Socket, bytes: Uint8Array, to: Omit<Endpoint, "family">): Promise<void> {
  const host = hostOf(to);
  return new Promise((resolve, reject) => {
    socket.send(bytes, to.port, to.address, (cause) => {
      if (!cause) return resolve();
      // The runtime hides its own refusal behind an unknown error, so that only the query can tell the two apart.
      const need = { name: "net", host } as const;
      const refused = permissionState(need) !== "granted";
      reject(
        refused
          ? new PermissionError(`send to ${host}`, flagsOf([need]), cause)
          : new HoldfastError(`Cannot send to ${host}: the system refuses it`, {
            code: "send",
            operation: "send",
            cause,
          }),
      );
    });
  });
}
