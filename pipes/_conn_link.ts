/** Links over the runtime's own connections: TCP, TLS, Unix. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { formatIp, parseIp } from "../internal/ip.ts";
import { closeQuietly } from "../recover/_connections.ts";
import type { PipeAddress, Transport } from "./address.ts";
import type { FillSink, Link } from "./_link.ts";

/** A connection of the runtime that a link can be made of. */
export type StreamConn = Deno.TcpConn | Deno.TlsConn | Deno.UnixConn;

/** How a connection becomes a link. */
export interface ConnLinkOptions {
  /**
   * Whether the connection ends with its link. One that does not is let go as it is, by closing and aborting alike.
   *
   * @default {true}
   */
  readonly owned?: boolean;
  /** The path that was connected to or listened on; the runtime does not tell it for both ends. */
  readonly path?: string;
  /** Ends the connection by a reset, where that can be done; returns whether it was. */
  readonly reset?: (conn: StreamConn) => boolean;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How long closing goes on to drop what the other end sends, in milliseconds. */
const LINGER = 2000;

/** Makes a link of a connection. */
export function connLink(conn: StreamConn, options: ConnLinkOptions = {}): Link {
  return new ConnLink(conn, options);
}

/** An address as pipes show it: an IPv4 address that came in through a socket of IPv6 is one of IPv4. */
export function hostAddress<T extends "tcp" | "tls" | "udp" | "ws" | "wss">(
  transport: T,
  { hostname, port }: { readonly hostname: string; readonly port: number },
): { readonly transport: T; readonly hostname: string; readonly port: number } {
  const bytes = hostname.startsWith("::") ? parseIp(hostname) : null;
  const mapped = bytes?.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff &&
    bytes.subarray(0, 10).every((byte) => byte === 0);
  return { transport, hostname: mapped ? formatIp(bytes.subarray(12)) : hostname, port };
}

class ConnLink implements Link {
  readonly transport: Transport;
  readonly unit = "bytes";
  readonly halfClose = true;
  readonly localAddress: PipeAddress;
  readonly remoteAddress: PipeAddress;
  readonly #conn: StreamConn;
  readonly #owned: boolean;
  readonly #clock: Clock;
  readonly #reset: ((conn: StreamConn) => boolean) | undefined;
  #alpn: string | null = null;
  #reading = false;
  #ended = false;
  #gone = false;

  constructor(conn: StreamConn, options: ConnLinkOptions) {
    const { localAddr, remoteAddr } = conn;
    this.#conn = conn;
    this.#owned = options.owned ?? true;
    this.#clock = options.clock ?? systemClock;
    this.#reset = options.reset;
    // A connection of TLS that began without has no word for its transport.
    if ("hostname" in localAddr && "hostname" in remoteAddr) {
      this.transport = "handshake" in conn ? "tls" : "tcp";
      const transport = "handshake" in conn ? "tls" : "tcp";
      this.localAddress = hostAddress(transport, localAddr);
      this.remoteAddress = hostAddress(transport, remoteAddr);
    } else {
      this.transport = "unix";
      const path = (addr: Deno.Addr): string => "path" in addr && addr.path ? addr.path : "";
      this.localAddress = { transport: "unix", path: path(localAddr) };
      this.remoteAddress = { transport: "unix", path: path(remoteAddr) || (options.path ?? "") };
    }
  }

  get extra(): Readonly<Record<string, unknown>> {
    return this.transport === "tls" ? { alpn: this.#alpn } : {};
  }

  /** The handshake, where there is one. */
  get ready(): (() => Promise<void>) | undefined {
    const conn = this.#conn;
    if (!("handshake" in conn)) return undefined;
    return async () => void (this.#alpn = (await conn.handshake()).alpnProtocol);
  }

  read(buffer: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | null> {
    return new Promise((resolve, reject) => {
      this.fill(buffer, {
        filled: (count) => resolve(count === null ? null : buffer.subarray(0, count)),
        broke: reject,
      });
    });
  }

  fill(buffer: Uint8Array<ArrayBuffer>, sink: FillSink): void {
    this.#reading = true;
    this.#conn.read(buffer).then((count) => {
      this.#reading = false;
      this.#ended = count === null;
      sink.filled(count);
    }, (error) => {
      this.#reading = false;
      sink.broke(error);
    });
  }

  write(data: Uint8Array): Promise<void> {
    return this.#conn.write(data).then((count) => count < data.length ? this.#rest(data, count) : undefined);
  }

  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  async close(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    if (!this.#owned) return;
    // With a read under way nothing is there that was not read, and with an end nothing will come.
    if (!this.#reading && !this.#ended) await this.#dropInput();
    closeQuietly(this.#conn);
  }

  abort(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (!this.#owned) return;
    this.#reset?.(this.#conn);
    closeQuietly(this.#conn);
  }

  detach(): StreamConn {
    this.#gone = true;
    return this.#conn;
  }

  /** The system takes as much as it has room for. */
  async #rest(data: Uint8Array, begun: number): Promise<void> {
    for (let at = begun; at < data.length;) at += await this.#conn.write(data.subarray(at));
  }

  /**
   * A socket that is closed while something lies in it unread answers by a reset, which throws away what is still on its
   * way to the other end (RFC 1122 section 4.2.2.13). So the input is read, and dropped, until there is none.
   */
  async #dropInput(): Promise<void> {
    const over = Promise.withResolvers<"over">();
    const timer = this.#clock.after(LINGER, () => over.resolve("over"), { ref: true });
    let turn: ReturnType<typeof setTimeout> | undefined;
    try {
      const ended = this.#conn.closeWrite().then(() => undefined);
      if (await Promise.race([ended, over.promise]) === "over") return;
      const buffer = new Uint8Array(64 * 1024);
      // What lies there comes in the same turn of the event loop; where nothing does, nobody waits for it.
      const rest = Promise.withResolvers<"over">();
      turn = setTimeout(() => turn = setTimeout(() => rest.resolve("over"), 0), 0);
      for (let first = true;; first = false) {
        const read = this.#conn.read(buffer).catch(() => null);
        const count = await Promise.race([read, first ? rest.promise : over.promise]);
        if (typeof count !== "number") return;
      }
    } catch {
      // The connection is broken already, and closing it is all that can be done.
    } finally {
      clearTimeout(turn);
      timer.cancel();
    }
  }
}
