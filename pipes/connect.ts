/** Connecting: a URL becomes a pipe. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { isNear } from "../recover/_near.ts";
import type { DialMemory } from "../recover/dial_memory.ts";
import type { DialResolver } from "../recover/dial.ts";
import type { Policy } from "../recover/policy.ts";
import { retry } from "../recover/retry.ts";
import { TimeoutError } from "../recover/timeout.ts";
import { parsePipeUrl, type PipeUrl, splitResume } from "./address.ts";
import type { PipeOptions } from "./_base_pipe.ts";
import { failedError } from "./_failed.ts";
import type { Dialer, Link } from "./_link.ts";
import { makePipe } from "./_make_pipe.ts";
import { checkNetworkOptions } from "./_network_keeper.ts";
import type { ReconnectOptions } from "./network_options.ts";
import { proxyFor } from "./_proxy_address.ts";
import { transportOf } from "./_transports.ts";
import type { PipeTransport } from "./_transport.ts";
import type { PipeOf } from "./pipe.ts";
import type { ResumeMode, SessionOptions } from "./resume/session_options.ts";
import type { UdpConnectOptions } from "./udp_options.ts";

/** What is asked of the other end in TLS. Its certificate is always checked. */
export interface PipeTlsOptions {
  /** Certificates to trust besides the system's, in PEM. */
  readonly caCerts?: readonly string[];
  /** The application protocols offered (ALPN), best first. */
  readonly alpnProtocols?: readonly string[];
  /**
   * The name that the certificate must be good for.
   *
   * @default the URL's host
   */
  readonly serverName?: string;
  /**
   * Takes any certificate, so that whoever stands between can read and change everything. For tests on the own machine.
   *
   * @default {false}
   */
  readonly dangerouslyAcceptAnyCertificate?: boolean;
}

/**
 * By which way a pipe leaves this machine: from an address, which has to be one of its own; or through an interface, whatever
 * the routes say.
 *
 * The address alone does not choose the interface: most systems send what comes from any of their addresses by the route of
 * its destination. The interface does, needs `--allow-ffi` for the C library, and exists on Linux.
 */
export type PipeVia = { readonly address: string } | { readonly interface: string };

/** What {@linkcode connect} takes. */
export interface ConnectOptions extends PipeOptions, ReconnectOptions {
  /** Calls it off; a pipe that is connected already does not care. */
  readonly signal?: AbortSignal | undefined;
  /**
   * For how many milliseconds to try altogether.
   *
   * @default {30_000}
   */
  readonly timeout?: number;
  /**
   * Tries again, or not. It sees each attempt that has failed at all addresses.
   *
   * @default up to four attempts within `timeout`; with `network` the time without one costs none
   */
  readonly retry?: Policy | false;
  /** What is asked of the other end with `tls:` and `wss:`. */
  readonly tls?: PipeTlsOptions;
  /** Where it leaves this machine. */
  readonly via?: PipeVia;
  /**
   * The proxy that `tcp:`, `tls:`, `ws:` and `wss:` go through.
   *
   * `http://USER:PASSWORD@HOST:PORT` asks for a tunnel by CONNECT, `https://` the same over TLS; `socks5://` and `socks5h://`
   * are SOCKS 5, where the names are looked up here, or by the proxy. User and password may be left out, and so may the port:
   * 80, 443 and 1080. TLS with the target goes through the tunnel, and checks the target's own name.
   *
   * `"system"` reads the variables `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or the same in lower case, which come first; needs
   * `--allow-env` for the six of them. This machine itself, what `NO_PROXY` lists and other transports go without.
   *
   * @default {null} None, whatever the environment says.
   */
  readonly proxy?: string | URL | "system" | null;
  /**
   * The only family of addresses to use.
   *
   * @default {undefined} Both.
   */
  readonly family?: 4 | 6;
  /**
   * Whether small messages go out at once (`TCP_NODELAY`).
   *
   * @default {true}
   */
  readonly noDelay?: boolean;
  /**
   * Looks names up.
   *
   * @default as the system does
   */
  readonly resolver?: DialResolver;
  /**
   * Where the addresses that worked are kept.
   *
   * @default one for the whole process
   */
  readonly memory?: DialMemory;
  /**
   * The command whose standard input and output carry an `exec:` pipe: the program and each of its arguments as it is, as in
   * `["ssh", "host", "my-agent", "--stdio"]`. There is no shell, and a URL could not carry them safely.
   */
  readonly exec?: readonly string[];
  /** What `udp:` can be told besides. */
  readonly udp?: UdpConnectOptions;
  /** What sessions are told, which are opened by URLs that begin with `resume+`. */
  readonly session?: SessionOptions;
  /**
   * Whether there must be a session, where the URL begins with `resume+`.
   *
   * @default {"require"}
   */
  readonly resume?: ResumeMode;
  /** Further ways to carry pipes. They come before the built-in ones. */
  readonly transports?: readonly PipeTransport[];
}

/**
 * Connects to a URL: `tcp://host:port`, `tls://host:port`, `unix:/path`, `memory:name`, `exec:` and what else {@linkcode PipeUrl}
 * knows.
 *
 * All addresses of a name are raced, a failure is tried again where that can help, and with `network` not while there is no
 * network. Over TLS the other end's certificate is checked.
 *
 * Over UDP nothing shows that anybody is there, and opening sends nothing. Each message is one datagram; one that cannot be
 * sent, for want of a route for example, is lost, which is told as an `error` that is not fatal, and the pipe goes on: what
 * ends it is closing it, and a missing permission. Datagrams that are not read in time make room for newer ones and are
 * counted in `stats.dropped`. A group (`udp://239.1.2.3:5000`, `udp://[ff02::fb%eth0]:5353`) or a broadcast address may be
 * connected to as well; then whoever answers is heard, and `Packet.from` tells who it was.
 *
 * `exec:` with the option `exec` starts a command, and carries the pipe by its standard input and output. Half-closing closes
 * its input; it has ended well when it ends with code 0, and another code is a loss that tells the last of what it said on its
 * standard error, each line of which goes to the logger. Closing gives it 2 seconds to end, then SIGTERM, and 2 seconds later
 * SIGKILL; aborting ends it at once. What it has started itself is left to it.
 *
 * Needs the permission `net`; for `exec:` `run` of the program; for Unix sockets `read` and `write` of the path, and `net` for `unix:/path`; for UDP what is
 * bound besides the other end, as in `--allow-net=0.0.0.0:0,192.0.2.1:5000` (`[::]:0` for IPv6, the address of `via` with port
 * 0, the group's address and port where it is joined), and `sys` for `networkInterfaces` to find the interfaces of a group.
 *
 * @param url Where to.
 * @param options Framing and limits of the pipe, and how to connect.
 * @returns The pipe.
 * @throws {PipeError} With code `"connect"` when it could not be done; its `failure` says why.
 * @throws {PermissionError} When the runtime does not allow it.
 * @throws {TypeError} When the URL or an option makes no sense.
 *
 * @example
 * ```ts
 * import { connect, lines, listen } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listen("tcp://127.0.0.1:0", { framing: lines() });
 * await using pipe = await connect(server.url, { framing: lines() });
 * await pipe.send("hello");
 * for await (const accepted of server) {
 *   const line = await accepted.recv();
 *   assertEquals(new TextDecoder().decode(line ?? undefined), "hello");
 *   await accepted.close();
 *   break;
 * }
 * ```
 */
export async function connect<U extends string | URL>(
  url: U,
  options: ConnectOptions = {},
): Promise<PipeOf<U>> {
  const { prefix, rest } = splitResume(url);
  const place = placeOf(rest, options);
  const { timeout = 30_000, clock = systemClock, signal, network } = options;
  if (!(timeout > 0)) throw new RangeError(`Cannot connect: timeout must be above 0, got ${timeout}`);
  signal?.throwIfAborted();
  checkNetworkOptions(options);
  if (prefix && options.resume !== "off") {
    // Only who has sessions loads them.
    const { connectSession } = await import("./resume/_connect.ts");
    return await connectSession(place, options) as unknown as PipeOf<U>;
  }
  const patient = dialerOf(place, options);
  // After a loss the pipe's own patience counts.
  const once = dialerOf(place, { ...options, retry: false });
  const dial: Dialer = ({ signal }) => inTime(once, timeout, clock, signal);
  try {
    const link = await inTime(patient, timeout, clock, signal);
    return makePipe(link, options, { dial }) as unknown as PipeOf<U>;
  } catch (error) {
    signal?.throwIfAborted();
    throw failedError(place, error, { operation: "connect", network: network?.state });
  }
}

/** Where to: the URL, and what it cannot say. */
function placeOf(url: string | URL, { exec }: ConnectOptions): PipeUrl {
  const place = parsePipeUrl(url);
  return place.transport === "exec" ? { ...place, command: String(exec?.[0] ?? "") } : place;
}

/**
 * What opens links to a place, with all the patience that the options ask for.
 *
 * @param place Where to.
 * @param options How.
 */
export function dialerOf(place: PipeUrl, options: ConnectOptions): Dialer {
  // Nothing goes past a proxy unseen because its transport does not know any.
  proxyFor(place, options.proxy);
  const dial = transportOf(place.transport, options.transports).dial(place, options);
  const { network, clock = systemClock, timeout = 30_000 } = options;
  if (options.retry === false || (options.retry === undefined && place.transport === "memory")) return dial;
  // What is on this machine or on its links does not wait for a way to the public network.
  const near = !("hostname" in place) || (network !== undefined && isNear(place.hostname, network.state));
  const policy = options.retry ?? retry({
    maxAttempts: 4,
    deadline: timeout,
    operation: "connect",
    idempotent: true,
    clock,
    ...(network && !near ? { network } : {}),
  });
  return ({ signal }) => policy.execute((attempt) => dial({ signal: attempt.signal }), { signal });
}

async function inTime(
  dial: Dialer,
  timeout: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const late = new AbortController();
  const timer = clock.after(timeout, () => late.abort(new TimeoutError(timeout)), { ref: true });
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
  try {
    return await orGone(dial({ signal: either }), either);
  } finally {
    timer.cancel();
  }
}

/** Waits for a link; one that comes after the signal is ended, and nobody waits for it. */
async function orGone(opening: Promise<Link>, signal: AbortSignal): Promise<Link> {
  const gone = Promise.withResolvers<never>();
  const abort = (): void => gone.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([opening, gone.promise]);
  } catch (error) {
    opening.then((link) => link.abort(), () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
