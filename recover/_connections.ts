/** The open connections of a server: how many, from where, and how all of them are cut. */

import { parseIp } from "../internal/ip.ts";
import { logUncaught } from "../internal/log.ts";

/** What a connection must have to be looked after; a `Deno.Conn` has it. */
export interface AcceptedConnection {
  /** Where the other end is. */
  readonly remoteAddr: Deno.Addr;
  /** Ends the connection. */
  close(): void;
}

/** What limits them. */
export interface ConnectionsOptions {
  /** How many there may be. */
  readonly maxConnections?: number;
  /** How many there may be from one address. */
  readonly maxPerAddress?: number;
  /** What to do with an error of what is done with a connection. */
  readonly onError?: (error: unknown) => void;
}

/** The connections that are open, each with what is done with it. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #open = new Set<OpenConnection>();
  readonly #perAddress = new Map<string, number>();
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();

  /** Begins with none. */
  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  /** Resolves when the next one has ended, or somebody calls {@linkcode Connections.wake}. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** Why one more from there would be too many; `undefined` when it would not. */
  excess(from: Deno.Addr): "connections" | "address" | undefined {
    const { maxConnections = Infinity, maxPerAddress = Infinity } = this.#options;
    if (this.#open.size >= maxConnections) return "connections";
    const key = addressKey(from);
    if (key === undefined) return undefined;
    return (this.#perAddress.get(key) ?? 0) >= maxPerAddress ? "address" : undefined;
  }

  /** Does something with a connection, and closes it afterwards, or when it is cut. */
  run(connection: AcceptedConnection, work: (open: OpenConnection) => Promise<void>): void {
    const open = new OpenConnection(connection, this);
    this.#open.add(open);
    if (open.key !== undefined) this.#count(open.key, 1);
    work(open).then(() => this.leave(open), (error) => {
      // What follows from the cut is no news.
      if (!open.isCut) this.#report(error);
      this.leave(open);
    });
  }

  /** One holds no place any more. */
  leave(open: OpenConnection): void {
    if (!this.#open.delete(open)) return;
    closeQuietly(open.connection);
    if (open.key !== undefined) this.#count(open.key, -1);
    this.wake();
  }

  /** Cuts all of them. */
  cut(reason: DOMException): void {
    for (const open of [...this.#open]) open.cut(reason);
  }

  /** Resolves {@linkcode Connections.changed}. */
  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #count(key: string, step: 1 | -1): void {
    const count = (this.#perAddress.get(key) ?? 0) + step;
    if (count > 0) this.#perAddress.set(key, count);
    else this.#perAddress.delete(key);
  }

  #report(error: unknown): void {
    const { onError } = this.#options;
    if (onError === undefined) {
      return logUncaught(undefined, "Uncaught error in the handler of a connection", error);
    }
    try {
      onError(error);
    } catch (second) {
      logUncaught(undefined, "Uncaught error in onError of a connection", second);
    }
  }
}

/** One connection that is open. */
export class OpenConnection {
  /** The connection. */
  readonly connection: AcceptedConnection;
  /** What stands for its client. */
  readonly key: string | undefined;
  readonly #all: Connections;
  /** Made when somebody asks for its signal, as the work on thousands never does. */
  #controller: AbortController | undefined;
  #cut: { readonly reason: DOMException } | undefined;

  /**
   * @param connection The connection.
   * @param all Where it holds a place.
   */
  constructor(connection: AcceptedConnection, all: Connections) {
    this.connection = connection;
    this.key = addressKey(connection.remoteAddr);
    this.#all = all;
  }

  /** Aborted when it is cut. */
  get signal(): AbortSignal {
    const controller = this.#controller ??= new AbortController();
    if (this.#cut) controller.abort(this.#cut.reason);
    return controller.signal;
  }

  /** Whether it was cut. */
  get isCut(): boolean {
    return this.#cut !== undefined;
  }

  /** Ends it; work that does not notice holds no place any more. */
  cut(reason: DOMException): void {
    this.#cut ??= { reason };
    this.#controller?.abort(reason);
    this.#all.leave(this);
  }
}

/** Closes what its owner may have closed already. */
export function closeQuietly(owner: { close(): void }): void {
  try {
    owner.close();
  } catch (error) {
    if ((error as Error).name !== "BadResource") throw error;
  }
}

/** What stands for one client: an IPv4 address, or the /64 that a host in IPv6 has for itself (RFC 6177). */
export function addressKey(address: Deno.Addr): string | undefined {
  if (address.transport !== "tcp" && address.transport !== "udp") return undefined;
  const bytes = parseIp(address.hostname);
  // The zeros in front belong to IPv4-mapped addresses and to ::1.
  if (bytes?.length !== 16 || bytes.subarray(0, 8).every((byte) => byte === 0)) return address.hostname;
  return bytes.subarray(0, 8).toHex();
}
