/** The public address, as servers outside see it (STUN, RFC 8489). */

import type { Clock } from "../internal/clock.ts";
import type { ExternalAddresses, ExternalFamily, Family } from "./state.ts";

/** How {@linkcode externalAddress} asks. */
export interface ExternalAddressOptions {
  /**
   * The STUN servers: `host`, `host:port` or `stun:host:port`, an IPv6 address with a port in brackets. The port is 3478
   * unless given. Take servers of different operators: one alone can only be believed.
   */
  readonly servers: readonly string[];
  /**
   * The families to ask for.
   *
   * @default {[4, 6]}
   */
  readonly families?: readonly Family[];
  /**
   * When to give up, in milliseconds from the start; name look-ups are part of it.
   *
   * @default {3000}
   */
  readonly timeout?: number;
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The local address to ask from, per family; it chooses the interface on most systems.
   *
   * @default what the system takes
   */
  readonly localAddress?: {
    /** For IPv4. */
    readonly v4?: string;
    /** For IPv6. */
    readonly v6?: string;
  };
  /**
   * Whether waiting for the answers keeps the process alive. (A pending look-up of a host name does so regardless.)
   *
   * @default {true}
   */
  readonly ref?: boolean;
  /** Source of time, for tests. */
  readonly clock?: Clock;
}

/**
 * How far the servers agree on an address.
 *
 * - `confirmed`: two or more say the same, and they are more than half of those that answered
 * - `single`: only one has answered
 * - `disputed`: they differ, and none has the majority; the address is the one named most often, of equals the first
 */
export type ExternalAgreement = "confirmed" | "single" | "disputed";

/**
 * How a NAT on the way maps one socket that talks to several servers (RFC 4787 section 4.1, RFC 5780).
 *
 * - `endpoint-independent`: servers at two or more addresses see the same address and port (also where there is no NAT)
 * - `endpoint-dependent`: they see different ones; servers outvoted on the address are left out
 * - `unknown`: no two answers to compare
 */
export type ExternalMapping = "endpoint-independent" | "endpoint-dependent" | "unknown";

/** The public address of one family, and how sure it is. */
export interface ExternalFamilyResult extends ExternalFamily {
  /** The public port of the socket that asked. */
  readonly port: number;
  /** How far the servers agree. */
  readonly agreement: ExternalAgreement;
  /** How a NAT on the way maps. */
  readonly mapping: ExternalMapping;
  /** Where the socket that asked was bound; the address is `null` where the system chose it for each packet. */
  readonly local: {
    /** The local address, or `null`. */
    readonly address: string | null;
    /** The local port. */
    readonly port: number;
  };
}

/**
 * Why a server has not answered.
 *
 * - `silent`: nothing came
 * - `malformed`: only unusable replies came
 * - `error`: it answered with an error
 * - `alternate-server`: it sent us elsewhere, and we do not follow
 * - `other-family`: it named an address of the other family (a translator is on the way)
 * - `unresolved`: its name has no address of the family
 * - `unsendable`: the system refused to send to it (no route, for example)
 * - `unbound`: no socket could be opened, or not on the local address wanted
 * - `duplicate`: it is the same address and port as another server of the list, and was asked once
 */
export type ExternalFailure =
  | "silent"
  | "malformed"
  | "error"
  | "alternate-server"
  | "other-family"
  | "unresolved"
  | "unsendable"
  | "unbound"
  | "duplicate";

/** What one server had to say about one family. */
export type ExternalServerOutcome =
  & {
    /** The server as it stands in the options. */
    readonly server: string;
    /** The family it was asked for. */
    readonly family: Family;
    /** Its address and port, as `address:port`, or `null` where none is known. */
    readonly endpoint: string | null;
  }
  & ({
    /** It has answered. */
    readonly outcome: "answered";
    /** The address it saw. */
    readonly address: string;
    /** The port it saw. */
    readonly port: number;
    /** Milliseconds from the first request to the answer. */
    readonly elapsed: number;
    /** What it calls itself, or `null`. */
    readonly software: string | null;
  } | {
    /** It has not. */
    readonly outcome: "failed";
    /** Why not. */
    readonly reason: ExternalFailure;
    /** The same for people. */
    readonly detail: string;
  });

/** The public addresses, and what each server had to say. */
export interface ExternalAddress extends ExternalAddresses {
  /** The public IPv4 address, or `null` where no server has answered. */
  readonly v4: ExternalFamilyResult | null;
  /** The public IPv6 address, or `null` where no server has answered. */
  readonly v6: ExternalFamilyResult | null;
  /** What each server had to say, in the order of the options, IPv4 first: who answered, who lied, who was silent. */
  readonly servers: readonly ExternalServerOutcome[];
}

/**
 * Asks STUN servers for the public addresses of this machine.
 *
 * All servers are asked at once, each family over one socket, again after 250, 750 and 1750 ms; a reply counts only
 * from the address that was asked and with the transaction id sent there. Where a single server is given and offers a
 * second address (RFC 5780), that one is asked too, to learn the mapping.
 *
 * Permissions: `--allow-net`, or scoped for servers given by address: what the sockets bind (`0.0.0.0:0` and `[::]:0`,
 * or `localAddress` with port 0) and each server, as in `--allow-net=0.0.0.0:0,192.0.2.1:3478`. Servers given by name
 * need it for the name without a port and for all its addresses.
 *
 * @param options The servers, and how to ask them.
 * @returns Per family the address most servers agree on, or `null` when none has answered.
 * @throws {TypeError} When a server or an address in the options cannot be read.
 * @throws {PermissionError} When a permission is missing; it names the flag.
 * @throws {HoldfastError} With code `"external-unreachable"` when no server has an address to ask.
 *
 * @example
 * ```ts
 * import { externalAddress } from "@holdfast/net/watch";
 * import { startStunServer } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startStunServer();
 * const { v4 } = await externalAddress({ servers: [server.url] });
 * assertEquals([v4?.address, v4?.agreement], ["127.0.0.1", "single"]);
 * ```
 */
export async function externalAddress(options: ExternalAddressOptions): Promise<ExternalAddress> {
  // Loaded only when used: the protocol is of no interest to those who only watch.
  return await (await import("./_external_ask.ts")).askExternal(options);
}
