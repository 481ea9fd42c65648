/** The client's end of a tunnel. */

import type { ConnectOptions } from "../connect.ts";
import type { KeyPair, PublicKey, SharedKey } from "../resume/key_text.ts";
import type { SessionPipe } from "../resume/session.ts";
import { TunnelClient } from "./_tunnel_client.ts";
import type { Tunnel } from "./tunnel.ts";

/** Programs that come to an address are led to a target. */
export interface TunnelForward {
  /** Where they come, as `HOST:PORT`; port 0 is any that is free. */
  readonly listen: string;
  /** Where they are led, as `HOST:PORT`, seen from the server; the server's own choice where it is left out. */
  readonly to?: string | undefined;
}

/** Those who come to an address of the server are led to a target at this end. */
export interface TunnelReverse {
  /** Where they come, as `HOST:PORT` of the server; port 0 is any that is free, no host is all. */
  readonly listen: string;
  /** Where they are led, as `HOST:PORT`, seen from here. */
  readonly to: string;
}

/** What {@linkcode openTunnel} takes. */
export interface OpenTunnelOptions extends
  Pick<
    ConnectOptions,
    "network" | "proxy" | "tls" | "transports" | "exec" | "clock" | "logger" | "signal"
  > {
  /** What both ends know, or who this client is; with a pair, `serverKeys` says who the server is. */
  readonly key?: SharedKey | KeyPair | undefined;
  /** The server's public key; one of them, where there are several. */
  readonly serverKeys?: readonly PublicKey[] | undefined;
  /**
   * Shows no key, and encrypts nothing by itself: only with a server that does the same.
   *
   * @default {false}
   */
  readonly plain?: boolean | undefined;
  /**
   * Where programs come, and where they are led.
   *
   * @default {[]}
   */
  readonly forwards?: readonly TunnelForward[] | undefined;
  /**
   * Addresses of the server whose visitors are led here; it must allow them.
   *
   * @default {[]}
   */
  readonly reverses?: readonly TunnelReverse[] | undefined;
  /**
   * Where programs come that speak SOCKS 5 and say themselves where to; without a password, so keep it to this machine.
   *
   * @default {[]}
   */
  readonly socks?: readonly string[] | undefined;
  /**
   * Further URLs of the same server; they are raced, the one that worked last first.
   *
   * @default {[]}
   */
  readonly endpoints?: readonly string[] | undefined;
  /**
   * For how many milliseconds a connection may have nothing below it before it is lost.
   *
   * @default {3_600_000} An hour
   */
  readonly expiry?: number | undefined;
  /**
   * How many bytes may be on their way in one connection, in each direction.
   *
   * @default {4_194_304}
   */
  readonly window?: number | undefined;
  /**
   * After how many milliseconds of silence the server is asked for a sign of life.
   *
   * @default {15_000}
   */
  readonly keepalive?: number | undefined;
  /**
   * For how many milliseconds the beginning of a connection may take; meanwhile the program waits.
   *
   * @default {30_000}
   */
  readonly timeout?: number | undefined;
  /**
   * How many connections there may be.
   *
   * @default {1024}
   */
  readonly maxConnections?: number | undefined;
}

/** The client's end of a tunnel, which can do more than the other one. */
export interface TunnelClientEnd extends Tunnel {
  /**
   * Asks the server whether it lets this client in, and to a target.
   *
   * @param target The target, as `HOST:PORT`; nothing where it is only to be let in.
   * @throws {TunnelError} Where it does not.
   */
  check(target?: string): Promise<void>;
  /**
   * Opens a connection for the caller, who closes it.
   *
   * @param target Where to, as `HOST:PORT`; the server's own choice where it is left out.
   * @returns A pipe that outlives what carries it.
   */
  open(target?: string): Promise<SessionPipe>;
  /**
   * Moves all connections to new ones below them, now; those that have nothing below them go on waiting.
   *
   * @returns How many have moved.
   */
  reconnect(): Promise<number>;
}

/**
 * Opens a tunnel: programs come to this end's addresses, and are led through the server to their targets, each over a session of
 * its own which outlives what carries it.
 *
 * Nothing is connected to before a program comes; {@linkcode TunnelClientEnd.check} tells beforehand what it will get. Needs
 * `--allow-net` for the addresses and the server; on Linux `--allow-ffi` of the C library makes it faster.
 *
 * @param server Where the server is, as a URL for {@linkcode connect}: `tcp://host:port`, `tls://host:port`, `wss://host/path`.
 * @param options The key, and what to forward.
 * @returns The tunnel's end.
 * @throws {PipeError} With code `"listen"` when an address cannot be listened on.
 * @throws {TypeError} When something makes no sense.
 *
 * @example
 * ```ts
 * import { makeSharedKey } from "@holdfast/net/pipes/resume";
 * import { openTunnel, serveTunnel } from "@holdfast/net/pipes/tunnel";
 * import { assertEquals } from "@std/assert";
 *
 * using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const key = makeSharedKey();
 * await using server = await serveTunnel("tcp://127.0.0.1:0", { key, to: [`127.0.0.1:${target.addr.port}`] });
 * await using client = await openTunnel(server.addresses[0] ?? "", { key });
 * await client.check();
 * const pipe = await client.open();
 * using served = await target.accept();
 * await served.write(new TextEncoder().encode("welcome"));
 * assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "welcome");
 * ```
 */
export async function openTunnel(
  server: string | URL,
  options: OpenTunnelOptions,
): Promise<TunnelClientEnd> {
  return await TunnelClient.start(String(server), options);
}
