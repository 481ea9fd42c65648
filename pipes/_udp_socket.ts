/** A bound socket for datagrams: `node:dgram` without its traps. */

import type { Socket } from "node:dgram";
import { isNotCapable, PermissionError } from "../internal/errors.ts";
import { flagsOf, type Need, permissionState, wouldPrompt } from "../internal/permissions.ts";
import { bracketed } from "../recover/_datagram.ts";
import { familyOf } from "../recover/_address_sort.ts";
import { canonical, udpAddress, withoutZone, zoneOf } from "./_udp_address.ts";
import type { HostAddress } from "./address.ts";

/** How a socket is opened. */
export interface UdpSocketOptions {
  /** What it is for, in words for messages. */
  readonly operation: string;
  /** The address to bind, a link-local one with its zone. */
  readonly address: string;
  /** The port, 0 for any. */
  readonly port: number;
  /** Whether others may be bound to the same address and port, as those who take part in a group are. */
  readonly shared?: boolean;
  /** Whether it may send to broadcast addresses. */
  readonly broadcast?: boolean;
  /** The interface that it is bound to. */
  readonly device?: string | undefined;
}

/** Gets what arrives. */
export type Receiver = (data: Uint8Array<ArrayBuffer>, from: HostAddress) => void;

/** From this length on a datagram keeps the 64 KiB that the runtime read it into; a shorter one is copied. */
const KEPT = 32 * 1024;

/** A bound socket. It never keeps the process alive by itself. */
export class UdpSocket {
  readonly family: 4 | 6;
  readonly localAddress: HostAddress;
  readonly #socket: Socket;
  readonly #operation: string;
  readonly #zone: string | undefined;
  #closing: Promise<void> | undefined;
  /** Whether it was closed. */
  isClosed = false;
  /** Called for every datagram. */
  receive: Receiver = () => {};

  private constructor(socket: Socket, { address, operation }: UdpSocketOptions) {
    this.#socket = socket;
    this.#operation = operation;
    this.#zone = zoneOf(address);
    this.family = familyOf(address);
    this.localAddress = udpAddress(canonical(address), socket.address().port);
    socket.on("message", (data, { address, port }) => {
      const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
      // The runtime writes addresses in their canonical form.
      this.receive(bytes.length < KEPT ? bytes.slice() : bytes, udpAddress(this.#zoned(address), port));
    });
  }

  /**
   * Opens a socket. Needs the permission `net` for the address without its zone and the port, as in
   * `--allow-net=0.0.0.0:0`.
   *
   * @param options Where and for what.
   * @throws {PermissionError} When the runtime forbids it, or would have to ask a person.
   * @throws What the system says against it.
   */
  static async open(options: UdpSocketOptions): Promise<UdpSocket> {
    const { address, port, operation, shared = false, broadcast = false, device } = options;
    const needs = [needOf(address, port)];
    if (wouldPrompt(needs)) throw new PermissionError(operation, flagsOf(needs));
    // Loaded only when used: it costs some 10 ms.
    const { createSocket } = await import("node:dgram");
    const six = address.includes(":");
    const socket = createSocket({
      type: six ? "udp6" : "udp4",
      ipv6Only: six,
      reuseAddr: shared,
      // Addresses are never names here. Answering at once makes bind() throw what it refuses, instead of later and to nobody.
      lookup: (name, _options, callback) => callback(null, name, six ? 6 : 4),
    });
    // What comes later counts for nothing: a datagram that was refused (Windows tells that as an error of reading) is lost
    // as any other may be, and the socket goes on.
    socket.on("error", () => {});
    // The runtime looks at this when it begins to read, and only then.
    socket.unref();
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind({ address, port }, resolve);
      });
      if (broadcast) socket.setBroadcast(true);
      if (device !== undefined) {
        const { bindToDevice } = await import("./_udp_device.ts");
        bindToDevice(socket, device, operation);
      }
      return new UdpSocket(socket, options);
    } catch (error) {
      socket.close();
      throw isNotCapable(error) ? new PermissionError(operation, flagsOf(needs), error) : error;
    }
  }

  /**
   * Sends a datagram.
   *
   * @throws {PermissionError} When the runtime forbids it.
   * @throws `EMSGSIZE`, or an error `UNKNOWN` for all else: the runtime does not tell more.
   */
  async send(data: Uint8Array, to: HostAddress, known: boolean): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.send(data, to.port, to.hostname, (error) => error ? reject(error) : resolve());
      });
    } catch (error) {
      const need = needOf(to.hostname, to.port);
      // The runtime hides what it forbids behind an unknown error of the system, but forbids nothing that worked before.
      if (!known && !this.isClosed && codeOf(error) === "UNKNOWN" && permissionState(need) !== "granted") {
        throw new PermissionError(this.#operation, flagsOf([need]), error);
      }
      throw error;
    }
  }

  /** Settings of groups; each throws what the system says against it. */
  get group(): Pick<
    Socket,
    "addMembership" | "dropMembership" | "setMulticastInterface" | "setMulticastLoopback" | "setMulticastTTL"
  > {
    return this.#socket;
  }

  /** Closes it, and resolves when its port is free again. */
  close(): Promise<void> {
    this.abort();
    // The read that was under way lets go of the descriptor when the runtime comes round to it.
    return this.#closing ??= new Promise((resolve) => void setTimeout(resolve, 0));
  }

  /** Closes it; its port is free soon. */
  abort(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.receive = () => {};
    // Nobody waits for the event "close": the runtime tells it only when something else keeps its loop busy.
    this.#socket.close();
  }

  /** Whoever is link-local is on the link that this socket is bound to. */
  #zoned(address: string): string {
    return this.#zone !== undefined && /^fe[89ab]/i.test(address) ? `${address}%${this.#zone}` : address;
  }
}

/** The permission for an address and port. */
export function needOf(hostname: string, port: number): Need {
  return { name: "net", host: bracketed(withoutZone(hostname), port) };
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}
