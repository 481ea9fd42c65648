/** A connection to a name: the fastest address that lives, found without waiting for the dead ones. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { familyOf } from "./_address_sort.ts";
import { checkNumber, checkWord } from "./_check.ts";
import { checkFunctions, checkNetwork, checkPolicy } from "./_check_shape.ts";
import type { ProofOptions } from "./_connect.ts";
import { dialOnce, type DialPlan } from "./_dial_once.ts";
import type { DialResolver } from "./_gather.ts";
import { needRuntime } from "./_need_runtime.ts";
import { systemResolvers } from "./_resolve.ts";
import { type DialTarget, type ParsedTarget, parseTarget } from "./_target.ts";
import type { DialAttempt } from "./dial_error.ts";
import { type DialMemory, dialMemory } from "./dial_memory.ts";
import type { Policy } from "./policy.ts";

export type { AddressRecord, DialResolver, DialResolverOptions } from "./_gather.ts";
export type { ProofOptions as DialProofOptions } from "./_connect.ts";
export type { DialTarget } from "./_target.ts";

/** What the other end is asked in TLS. */
export interface DialTlsOptions {
  /** Certificates to trust besides the system's, in PEM. */
  readonly caCerts?: readonly string[];
  /** The application protocols offered (ALPN), best first. */
  readonly alpnProtocols?: readonly string[];
  /**
   * The name that the certificate must be good for.
   *
   * @default the target's host
   */
  readonly serverName?: string;
}

/** What {@linkcode dial} takes. */
export interface DialOptions<T = undefined> {
  /**
   * What runs over the connection. With `tls` an address has proved to be alive when its handshake is done.
   *
   * @default {"tcp"}
   */
  readonly transport?: "tcp" | "tls";
  /** What is asked of the other end with `tls`. */
  readonly tls?: DialTlsOptions;
  /**
   * Proves that somebody lives at the other end, for example by reading the first bytes: the race goes on until this is
   * done for one address. It may run for several addresses at once.
   *
   * @default {undefined} The connection, or the TLS handshake, is proof enough.
   */
  readonly proof?: (conn: Deno.TcpConn | Deno.TlsConn, options: ProofOptions) => Promise<T>;
  /**
   * Whether small writes go out at once, from the first on (`TCP_NODELAY`).
   *
   * @default {true}
   */
  readonly noDelay?: boolean;
  /**
   * After how many milliseconds the next address is tried while those before are silent, 10 to 2000.
   *
   * @default {250}
   */
  readonly attemptDelay?: number;
  /**
   * For how many milliseconds the answer of one family waits for that of the preferred one.
   *
   * @default {50}
   */
  readonly resolutionDelay?: number;
  /**
   * How many milliseconds an attempt may take: connection, handshake and proof together.
   *
   * @default {10_000}
   */
  readonly attemptTimeout?: number;
  /**
   * After how many milliseconds no answer for the name is waited for any longer. Then addresses that worked in this
   * network before are used.
   *
   * @default {3000}
   */
  readonly resolveTimeout?: number;
  /**
   * The only family to use.
   *
   * @default {undefined} Both.
   */
  readonly family?: 4 | 6;
  /**
   * The network, for example a watcher: families without a way out are passed over, nothing is tried while offline, and
   * attempts whose way out vanishes start anew.
   */
  readonly network?: NetworkView;
  /**
   * Where what worked is kept.
   *
   * @default one for the whole process
   */
  readonly memory?: DialMemory;
  /**
   * Tries again, or not. It sees each go that has failed altogether.
   *
   * @default {undefined} One go.
   */
  readonly retry?: Policy;
  /**
   * Looks names up.
   *
   * @default as the system does
   */
  readonly resolver?: DialResolver;
  /** Calls all of it off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** What {@linkcode dial} gives. */
export interface DialResult<
  T = undefined,
  C extends Deno.TcpConn | Deno.TlsConn = Deno.TcpConn | Deno.TlsConn,
> {
  /** The connection; the caller closes it. */
  readonly conn: C;
  /** What the proof of life gave, for example the first bytes. */
  readonly proof: T;
  /** The address that it leads to. */
  readonly address: string;
  /** The family of the address. */
  readonly family: 4 | 6;
  /** How many milliseconds it took. */
  readonly took: number;
  /** What was tried, in the order of the starts. */
  readonly attempts: readonly DialAttempt[];
}

/** What worked, for all who bring no memory of their own. */
const shared = dialMemory();

/**
 * Connects to a host by TLS, as {@linkcode dial} does without.
 *
 * @param target The host and its port, for example `"example.com:443"`.
 * @param options Which family, how long, and what counts as a sign of life.
 * @returns The connection, its handshake done, and how it came about.
 */
export function dial<T = undefined>(
  target: DialTarget,
  options: DialOptions<T> & { readonly transport: "tls" },
): Promise<DialResult<T, Deno.TlsConn>>;
/**
 * Connects to a host.
 *
 * Both families of addresses are asked for at once; what comes first is used, IPv4 after a courtesy of 50 ms. Addresses
 * are tried one every 250 ms, families by turns, the next at once when one fails; the first that proves to be alive wins
 * (RFC 8305). What won is tried first the next time in the same network. A resolver that is silent or fails is covered by
 * the addresses that worked before.
 *
 * Needs the permission `net`. With `--allow-net=host:port` alone the addresses may not be connected to; then the runtime
 * connects to the name in its own way, which does not race up to a proof. The hosts file is looked at where
 * `--allow-read=/etc/hosts` allows it; without, a name that stands there with an address of one family only is looked for
 * elsewhere in the other family. Names that only `getaddrinfo` finds work too, yet that cannot be called off: where it
 * hangs, a pending look-up is left to the system until it gives up.
 *
 * @param target The host and its port, for example `"example.com:443"` or `{ hostname: "2001:db8::1", port: 443 }`.
 * @param options Which family, how long, and what counts as a sign of life.
 * @returns The connection and how it came about.
 * @throws {DialError} When no address could be reached; it knows each attempt.
 * @throws {PermissionError} Without `--allow-net` for any of them.
 * @throws {HoldfastError} `unsupported`, in a browser.
 * @throws {TypeError} When target or options make no sense, a link-local address without zone among them.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { dial } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr as Deno.NetAddr;
 * const { conn, address } = await dial(`localhost:${port}`);
 * conn.close();
 * (await listener.accept()).close();
 * assertEquals(address, "127.0.0.1");
 * ```
 */
export function dial<T = undefined>(
  target: DialTarget,
  options?: DialOptions<T> & { readonly transport?: "tcp" },
): Promise<DialResult<T, Deno.TcpConn>>;
/**
 * Connects to a host by what the options say.
 *
 * @param target The host and its port.
 * @param options What runs over the connection, which family, how long, and what counts as a sign of life.
 * @returns The connection and how it came about.
 */
export function dial<T = undefined>(target: DialTarget, options?: DialOptions<T>): Promise<DialResult<T>>;
export async function dial<T>(target: DialTarget, options: DialOptions<T> = {}): Promise<DialResult<T>> {
  const plan = planOf(parseTarget(target), options);
  const { signal = new AbortController().signal, retry } = options;
  const dialled = retry
    ? await retry.execute((attempt) => dialOnce(plan, attempt.signal), { signal })
    : await dialOnce(plan, signal);
  // Without a proof its type is `undefined`, and so is its value.
  return { ...dialled, proof: dialled.proof as T, family: familyOf(dialled.address) };
}

function planOf<T>(target: ParsedTarget, options: DialOptions<T>): DialPlan<T> {
  const { transport = "tcp", tls = {}, family, network, resolver, proof } = options;
  const { attemptDelay = 250, attemptTimeout = 10_000, resolutionDelay = 50, resolveTimeout = 3000 } =
    options;
  needRuntime("dial");
  checkWord("dial", "transport", transport, ["tcp", "tls"]);
  checkNumber("dial", "attemptDelay", attemptDelay, { from: 10, to: 2000 });
  checkNumber("dial", "attemptTimeout", attemptTimeout, { above: true });
  checkNumber("dial", "resolutionDelay", resolutionDelay);
  checkNumber("dial", "resolveTimeout", resolveTimeout, { above: true });
  checkFunctions("dial", { proof, resolver });
  checkNetwork("dial", network);
  if (options.retry !== undefined) checkPolicy("dial", "retry", options.retry);
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new TypeError(`Cannot dial: family must be 4 or 6, got ${JSON.stringify(family)}`);
  }
  return {
    target,
    families: family ? [family] : [4, 6],
    resolvers: resolver ? [resolver] : systemResolvers(target.hostname, target.port),
    memory: options.memory ?? shared,
    network,
    clock: options.clock ?? systemClock,
    noDelay: options.noDelay ?? true,
    tls: transport === "tls" ? { serverName: tls.serverName ?? target.hostname, options: tls } : null,
    proof,
    ...{ attemptDelay, attemptTimeout, resolutionDelay, resolveTimeout },
  };
}
