/** Connecting through a proxy: TCP, and TLS with the target on top of it. */

import { systemClock } from "../internal/clock.ts";
import { parseIp } from "../internal/ip.ts";
import { closeQuietly } from "../recover/_connections.ts";
import { classify } from "../recover/classify.ts";
import { orAbort } from "../recover/_or_abort.ts";
import { TimeoutError } from "../recover/timeout.ts";
import type { HostAddress } from "./address.ts";
import { connLink, type ConnLinkOptions } from "./_conn_link.ts";
import type { ConnectOptions, PipeTlsOptions } from "./connect.ts";
import type { Dialer, Link } from "./_link.ts";
import { formatProxy, type ProxyAddress } from "./_proxy_address.ts";
import { connectExchange } from "./_proxy_connect.ts";
import { ProxyDialError, ProxyError, ProxyRefusal } from "./_proxy_error.ts";
import type { ProxyExchange, ProxyTarget } from "./_proxy_exchange.ts";
import { socks5Exchange } from "./_proxy_socks5.ts";
import { ProxiedLink } from "./_proxied_link.ts";
import { raceAddresses } from "./_race_addresses.ts";
import { tcpLinkOptions } from "./_tcp_transport.ts";

/** Where to, through a proxy. */
export interface ProxyPlace extends ProxyTarget {
  /** What the application gets. */
  readonly transport: "tcp" | "tls";
}

/** For how many milliseconds the answers of a proxy are waited for, once it is connected. */
const PATIENCE = 10_000;

/**
 * Prepares connecting through a proxy.
 *
 * @param proxy The proxy.
 * @param place Where to.
 * @param options What the user asked for.
 * @param toProxy Connects to the proxy itself.
 * @returns What opens a link, whose other end is the target as far as anybody sees.
 * @throws {TypeError} When a proxy could not be told the target.
 */
export function proxyDialer(
  proxy: ProxyAddress,
  place: ProxyPlace,
  options: ConnectOptions,
  toProxy: Dialer,
): Dialer {
  const target = targetOf(place);
  const { tls = {} } = options;
  const remote: HostAddress = { transport: place.transport, hostname: place.hostname, port: place.port };
  const tunnel = async (one: ProxyTarget, signal: AbortSignal): Promise<ProxiedLink> => {
    const link = await toProxy({ signal }).catch((error) => {
      signal.throwIfAborted();
      const failure = classify(error, { operation: "connect", network: options.network?.state });
      // That one names the flag for the proxy already.
      throw failure.kind === "permission" ? error : new ProxyDialError(formatProxy(proxy), failure, error);
    });
    const first = await talk(link, exchangeFor(proxy, one), proxy, options, signal);
    return new ProxiedLink(link, { ...remote, transport: "tcp" }, first);
  };
  const connect = proxy.scheme === "socks5" && !parseIp(target.hostname)
    ? (signal: AbortSignal) => raceAddresses({ ...options, ...target, attempt: tunnel }, signal)
    : (signal: AbortSignal) => tunnel(target, signal);
  return async ({ signal }) => {
    signal.throwIfAborted();
    const link = await connect(signal) as ProxiedLink;
    if (place.transport === "tcp") return link;
    return await secure(link, place.hostname, tls, signal, tcpLinkOptions(options));
  };
}

function exchangeFor({ scheme, login }: ProxyAddress, target: ProxyTarget): ProxyExchange {
  return scheme.startsWith("socks") ? socks5Exchange(target, login) : connectExchange(target, login);
}

/** The target as it may stand in a request: what is in a URL may be anything. */
function targetOf({ hostname, port }: ProxyPlace): ProxyTarget {
  const fail = (why: string): TypeError => new TypeError(`Cannot connect through a proxy: ${why}`);
  if (hostname.includes("%")) throw fail("an interface of this machine means nothing to it");
  if (parseIp(hostname)) return { hostname, port };
  const name = URL.parse(`http://${hostname}`)?.hostname ?? "";
  if (!/^[\w.-]{1,255}$/.test(name)) {
    throw fail(`${JSON.stringify(hostname.slice(0, 100))} is no name of a host`);
  }
  return { hostname: name, port };
}

/** Talks with the proxy until there is a tunnel; returns the first bytes of it. */
async function talk(
  link: Link,
  exchange: ProxyExchange,
  proxy: ProxyAddress,
  { clock = systemClock }: ConnectOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let stopped: { readonly reason: unknown } | undefined;
  const stop = (reason: unknown): void => {
    stopped ??= { reason };
    link.abort();
  };
  const aborted = (): void => stop(signal.reason);
  signal.addEventListener("abort", aborted, { once: true });
  const timer = clock.after(PATIENCE, () => stop(new TimeoutError(PATIENCE)), { ref: true });
  try {
    if (signal.aborted) aborted();
    const buffer = new Uint8Array(4096);
    for (let send: Uint8Array | null = exchange.hello;;) {
      if (send) await link.write(send);
      const bytes = await link.read(buffer);
      if (!bytes) {
        throw new Deno.errors.ConnectionReset("the proxy closed the connection before there was a tunnel");
      }
      const step = exchange.push(bytes);
      if (stopped) throw stopped.reason;
      if (step.tunnel) return step.tunnel;
      send = step.send;
    }
  } catch (error) {
    link.abort();
    if (error instanceof ProxyRefusal) throw new ProxyError(formatProxy(proxy), error);
    throw stopped ? stopped.reason : error;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", aborted);
  }
}

/** Does TLS with the target: by the runtime where the tunnel is a connection of its own, else by Node's part of it. */
async function secure(
  link: ProxiedLink,
  hostname: string,
  tls: PipeTlsOptions,
  signal: AbortSignal,
  options: ConnLinkOptions,
): Promise<Link> {
  const conn = tls.dangerouslyAcceptAnyCertificate ? undefined : link.detach() as Deno.TcpConn | undefined;
  if (!conn) return await (await import("./_tls_link.ts")).tlsClientLink(link, hostname, tls, signal);
  const { caCerts, alpnProtocols, serverName = hostname } = tls;
  let ours: { close(): void } = conn;
  const abort = (): void => closeQuietly(ours);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const secured = await Deno.startTls(conn, {
      hostname: serverName,
      ...(caCerts ? { caCerts: [...caCerts] } : {}),
      ...(alpnProtocols ? { alpnProtocols: [...alpnProtocols] } : {}),
    });
    ours = secured;
    signal.throwIfAborted();
    const above = connLink(secured, options);
    await orAbort(above.ready?.() ?? Promise.resolve(), signal);
    return new ProxiedLink(above, { ...link.remoteAddress, transport: "tls" });
  } catch (error) {
    closeQuietly(ours);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
