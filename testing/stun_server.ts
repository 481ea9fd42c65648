/** A STUN server for tests, with the faults that real ones have. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import {
  AttributeType,
  decodeMessage,
  encodeAddress,
  encodeMessage,
  MessageType,
  newTransactionId,
  type StunAttribute,
  StunError,
} from "../watch/_stun.ts";
import { hostOf, openUdp, type UdpSocket } from "../watch/_udp.ts";

/**
 * How the server treats a binding request.
 *
 * - `honest`: answers with the asker's address, as RFC 8489 has it
 * - `liar`: answers with another address, always the same
 * - `silent`: does not answer
 * - `truncated`: answers with the first half of the answer
 * - `wrong-id`: answers with the id of another transaction
 * - `wrong-magic`: answers without the magic cookie
 * - `late`: answers honestly, after {@linkcode StunServerOptions.delay}
 * - `error`: answers with {@linkcode StunServerOptions.errorCode}
 * - `alternate-server`: sends the asker to another server
 * - `garbage`: answers with random bytes
 * - `duplicate`: answers honestly, three times over
 * - `mapped-only`: answers honestly in the words of RFC 3489, without the XOR form
 * - `other-address`: honest, and offers a second address (RFC 5780), at which it listens too
 */
export type StunServerMode =
  | "honest"
  | "liar"
  | "silent"
  | "truncated"
  | "wrong-id"
  | "wrong-magic"
  | "late"
  | "error"
  | "alternate-server"
  | "garbage"
  | "duplicate"
  | "mapped-only"
  | "other-address";

/** How a {@linkcode StunServer} is set up. */
export interface StunServerOptions {
  /**
   * The IP address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The UDP port to listen on.
   *
   * @default a free one
   */
  readonly port?: number;
  /**
   * What it does to a request in the beginning.
   *
   * @default {"honest"}
   */
  readonly mode?: StunServerMode;
  /** What a `liar` says; what is left out is told truly. By default another address, of the documentation range. */
  readonly lie?: { readonly address?: string; readonly port?: number };
  /**
   * How many milliseconds a `late` answer waits.
   *
   * @default {400}
   */
  readonly delay?: number;
  /**
   * What `error` answers with, 300 to 699.
   *
   * @default {500}
   */
  readonly errorCode?: number;
  /**
   * The IP address of the second listener that `other-address` offers.
   *
   * @default the hostname, at another port
   */
  readonly otherHostname?: string;
  /**
   * What the second listener does to a request.
   *
   * @default {"honest"}
   */
  readonly otherMode?: Exclude<StunServerMode, "other-address">;
  /** Source of time for `late`. */
  readonly clock?: Clock;
}

/** A running server. */
export interface StunServer extends AsyncDisposable {
  /** Where it listens. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** The same as one URL, `stun:127.0.0.1:34567`. */
  readonly url: string;
  /** How many binding requests it has got, at both addresses. */
  readonly requests: number;
  /** What it does to a request; may be changed at any time. */
  mode: StunServerMode;
  /**
   * Waits for requests.
   *
   * @param count How many, counted from the start of the server.
   * @returns Resolves when there have been that many; rejects when the server is closed before.
   */
  received(count: number): Promise<void>;
  /** Closes it; safe twice. */
  close(): Promise<void>;
}

/**
 * Starts a STUN server with the faults of your choice.
 *
 * Needs the permission `net` for its own address and for those who ask it.
 *
 * @param options Where it listens, and how it behaves.
 * @returns The server, listening.
 *
 * @example
 * ```ts
 * import { startStunServer } from "@holdfast/net/testing";
 * import { externalAddress } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * await using honest = await startStunServer();
 * await using liar = await startStunServer({ mode: "liar" });
 * const { v4 } = await externalAddress({ servers: [honest.url, liar.url], families: [4] });
 * assertEquals(v4?.agreement, "disputed");
 * ```
 */
export async function startStunServer(options: StunServerOptions = {}): Promise<StunServer> {
  const { hostname = "127.0.0.1", port = 0, otherHostname = hostname } = options;
  const server = new FakeServer(options);
  await server.listen(hostname, port);
  try {
    await server.listen(otherHostname, 0);
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

const SOFTWARE = new TextEncoder().encode("holdfast fake");
const LIE = { v4: "203.0.113.66", v6: "2001:db8:bad::66" };

type Address = { readonly address: string; readonly port: number };

class FakeServer implements StunServer {
  mode: StunServerMode;
  requests = 0;
  readonly #options: StunServerOptions;
  readonly #sockets: UdpSocket[] = [];
  readonly #timers = new Set<{ cancel(): void }>();
  readonly #waiting = new Set<{ count: number; resolve: () => void; reject: (error: Error) => void }>();

  constructor(options: StunServerOptions) {
    this.#options = options;
    this.mode = options.mode ?? "honest";
  }

  get hostname(): string {
    return this.#local(0).address;
  }

  get port(): number {
    return this.#local(0).port;
  }

  get url(): string {
    return `stun:${hostOf(this.#local(0))}`;
  }

  async listen(address: string, port: number): Promise<void> {
    const which = this.#sockets.length;
    const socket = await openUdp({
      family: parseIp(address)?.length === 16 ? 6 : 4,
      address,
      port,
      ref: true,
      onMessage: (bytes, from) => this.#take(bytes, from, which),
    });
    this.#sockets.push(socket);
  }

  received(count: number): Promise<void> {
    if (this.requests >= count) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ count, resolve, reject }));
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    for (const timer of this.#timers) timer.cancel();
    for (const { count, reject } of this.#waiting) {
      const why = `Cannot wait for ${count} requests: the STUN server is closed`;
      reject(new HoldfastError(why, { code: "closed", operation: "wait for STUN requests" }));
    }
    this.#timers.clear();
    this.#waiting.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #local(which: number): Address {
    return this.#sockets[which]?.local ?? { address: "", port: 0 };
  }

  #take(bytes: Uint8Array, from: Address, which: number): void {
    const id = requestId(bytes);
    if (!id) return;
    this.requests++;
    for (const waiting of this.#waiting) {
      if (this.requests < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
    this.#answer(id, from, which, which === 0 ? this.mode : this.#options.otherMode ?? "honest");
  }

  #answer(id: Uint8Array, from: Address, which: number, mode: StunServerMode): void {
    const send = (bytes: Uint8Array): void => {
      // An asker who has gone away meanwhile is none of our faults.
      this.#sockets[which]?.send(bytes, from).catch(() => {});
    };
    const honest = (): Uint8Array => this.#success(id, from, which);
    switch (mode) {
      case "silent":
        return;
      case "liar":
        return send(this.#success(id, this.#lie(from), which));
      case "truncated":
        return send(honest().subarray(0, honest().length / 2));
      case "wrong-id":
        return send(this.#success(newTransactionId(), from, which));
      case "wrong-magic":
        return send(honest().with(4, 0));
      case "garbage":
        return send(crypto.getRandomValues(new Uint8Array(64)));
      case "duplicate":
        return [1, 2, 3].forEach(() => send(honest()));
      case "late":
        return this.#later(() => send(honest()));
      case "error":
        return send(failure(id, this.#options.errorCode ?? 500));
      case "alternate-server":
        return send(failure(id, 300, { address: this.#lie(from).address, port: 3478 }));
      case "mapped-only":
        return send(encodeMessage(MessageType.success, id, [
          { type: AttributeType.mappedAddress, value: encodeAddress(from) },
        ]));
      case "other-address":
        return send(this.#success(id, from, which, this.#local(1)));
      case "honest":
        return send(honest());
    }
  }

  #success(id: Uint8Array, mapped: Address, which: number, other?: Address): Uint8Array {
    const attributes: StunAttribute[] = [
      { type: AttributeType.xorMappedAddress, value: encodeAddress(mapped, id) },
      { type: AttributeType.responseOrigin, value: encodeAddress(this.#local(which)) },
      { type: AttributeType.software, value: SOFTWARE },
    ];
    if (other) attributes.push({ type: AttributeType.otherAddress, value: encodeAddress(other) });
    return encodeMessage(MessageType.success, id, attributes, { fingerprint: true });
  }

  #lie(from: Address): Address {
    const { lie = { address: from.address.includes(":") ? LIE.v6 : LIE.v4 } } = this.#options;
    return { ...from, ...lie };
  }

  #later(action: () => void): void {
    const { clock = systemClock, delay = 400 } = this.#options;
    const timer = clock.after(delay, () => {
      this.#timers.delete(timer);
      action();
    }, { ref: true });
    this.#timers.add(timer);
  }
}

/** The transaction id of a binding request, or `undefined` for anything else. */
function requestId(bytes: Uint8Array): Uint8Array | undefined {
  try {
    const { type, id } = decodeMessage(bytes);
    return type === MessageType.request ? id : undefined;
  } catch (error) {
    if (error instanceof StunError) return undefined;
    throw error;
  }
}

function failure(id: Uint8Array, code: number, alternate?: Address): Uint8Array {
  const attributes: StunAttribute[] = [
    { type: AttributeType.errorCode, value: Uint8Array.of(0, 0, Math.trunc(code / 100), code % 100) },
  ];
  if (alternate) attributes.push({ type: AttributeType.alternateServer, value: encodeAddress(alternate) });
  return encodeMessage(MessageType.error, id, attributes);
}
