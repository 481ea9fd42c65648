/** The server's end of a tunnel. */

import type { Clock } from "../../internal/clock.ts";
import type { NetworkView } from "../../internal/network_view.ts";
import type { PipeServerTlsOptions } from "../listen.ts";
import type { PipeTransport } from "../_transport.ts";
import type { KeyPair, SharedKey } from "../resume/key_text.ts";
import type { AuthorizedKey } from "./authorized_keys.ts";
import { TunnelListener } from "./_tunnel_listener.ts";
import type { Tunnel } from "./tunnel.ts";
import type { TunnelRules } from "./tunnel_rules.ts";

/** What {@linkcode serveTunnel} takes. */
export interface ServeTunnelOptions extends TunnelRules {
  /** What both ends know, or who the server is; with a pair, `authorized` says who is let in. */
  readonly key?: SharedKey | KeyPair | undefined;
  /** The clients that are let in, or the file with them, which is looked at every second; who is no more in it is out. */
  readonly authorized?: string | readonly AuthorizedKey[] | undefined;
  /**
   * Lets in whoever comes, and encrypts nothing by itself. For a path that is trusted, or over TLS where anybody may come.
   *
   * @default {false}
   */
  readonly plain?: boolean | undefined;
  /** The certificate, for `tls:` and `wss:`. */
  readonly tls?: PipeServerTlsOptions | undefined;
  /**
   * How many connections there may be in all.
   *
   * @default {4096}
   */
  readonly maxConnections?: number | undefined;
  /**
   * How many of them one client may have: one key where clients have one, else one address.
   *
   * @default {1024}
   */
  readonly maxPerClient?: number | undefined;
  /**
   * For how many milliseconds a connection may have nothing below it, at most.
   *
   * @default {86_400_000} A day; the client usually asks for less.
   */
  readonly expiry?: number | undefined;
  /**
   * How many bytes may be on their way in one connection, in each direction, at most.
   *
   * @default {4_194_304}
   */
  readonly window?: number | undefined;
  /**
   * For how many milliseconds a target is tried.
   *
   * @default {10_000}
   */
  readonly connectTimeout?: number | undefined;
  /** The network, for addresses that come and go. */
  readonly network?: NetworkView | undefined;
  /** Further ways to listen, for example those of `@holdfast/net/pipes/ws`. */
  readonly transports?: readonly PipeTransport[] | undefined;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** Calls the listening off, and closes the tunnel when aborted later. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Serves a tunnel: clients come with {@linkcode openTunnel}, and are led to the targets that are allowed.
 *
 * Each connection of a program is a session of its own, which outlives what carries it: the connection to the target stays
 * open while the client has no network. A target's end is passed on as an end and its reset as a reset; what is lost is never
 * an end.
 *
 * Needs `--allow-net` for the address and the targets, `--allow-read` for the file of keys; on Linux `--allow-ffi` of the C
 * library makes it faster.
 *
 * @param url Where: `tcp://host:port`, `tls://host:port`, `unix:/path`, and what `transports` carry.
 * @param options Who is let in, and to what.
 * @returns The tunnel's end.
 * @throws {PipeError} With code `"listen"` when it could not be done.
 * @throws {TypeError} When something makes no sense: nobody is let in, or nothing is allowed.
 *
 * @example
 * ```ts
 * import { makeSharedKey } from "@holdfast/net/pipes/resume";
 * import { openTunnel, serveTunnel } from "@holdfast/net/pipes/tunnel";
 * import { assertEquals } from "@std/assert";
 *
 * using echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const key = makeSharedKey();
 * await using server = await serveTunnel("tcp://127.0.0.1:0", { key, to: [`127.0.0.1:${echo.addr.port}`] });
 * await using client = await openTunnel(server.addresses[0] ?? "", { key, forwards: [{ listen: "127.0.0.1:0" }] });
 * const port = Number(client.addresses[0]?.split(":").at(-1));
 * using program = await Deno.connect({ port });
 * await program.write(new TextEncoder().encode("hello"));
 * using served = await echo.accept();
 * const heard = new Uint8Array(5);
 * await served.read(heard);
 * assertEquals(new TextDecoder().decode(heard), "hello");
 * ```
 */
export async function serveTunnel(url: string | URL, options: ServeTunnelOptions): Promise<Tunnel> {
  return await TunnelListener.start(String(url), options);
}
