/** Pipes over TCP and TLS. */

import { PermissionError } from "../internal/errors.ts";
import { libcNeed } from "../internal/ffi/libc.ts";
import { resetConnection, setListenerNoDelay, type SocketAddress } from "../internal/ffi/sockets_linux.ts";
import { flagsOf, wouldPrompt } from "../internal/permissions.ts";
import { dial, type DialProofOptions } from "../recover/dial.ts";
import type { PipeUrl } from "./address.ts";
import { checkVia } from "./_check_via.ts";
import { connLink, type ConnLinkOptions, hostAddress, type StreamConn } from "./_conn_link.ts";
import { connListener } from "./_conn_listener.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Dialer, Link, LinkListener } from "./_link.ts";
import type { ListenOptions, PipeServerTlsOptions } from "./listen.ts";
import { proxyFor } from "./_proxy_address.ts";
import type { LinkProof, PipeTransport } from "./_transport.ts";

/** Carries `tcp:` and `tls:`. */
export const tcpTransport: PipeTransport = {
  schemes: ["tcp", "tls"],
  dial: dialerOf,
  listen: (url, options) => {
    const host = withHost(url);
    return host.transport === "tls" ? listenTls(host, options) : Promise.resolve(listenTcp(host, options));
  },
};

interface Host extends SocketAddress {
  readonly transport: "tcp" | "tls";
}

/** How links over the runtime's TCP are made. */
export function tcpLinkOptions({ clock }: Pick<ConnectOptions, "clock">): ConnLinkOptions {
  return { reset, ...(clock ? { clock } : {}) };
}

function dialerOf(url: PipeUrl, options: ConnectOptions, prove?: LinkProof): Dialer {
  const { hostname, port, transport } = withHost(url);
  const { via, tls = {} } = options;
  if (via) checkVia(via);
  const proxy = proxyFor(url, options.proxy);
  if (proxy) {
    // Its own certificate is checked in any case, and for its own name.
    const own = tls.caCerts ? { caCerts: tls.caCerts } : {};
    const { hostname: host, port: at, scheme } = proxy;
    const there = {
      hostname: host,
      port: at,
      path: "/",
      transport: scheme === "https" ? "tls" : "tcp",
    } as const;
    const toProxy = dialerOf(there, { ...options, proxy: null, tls: own });
    // Checked now, and loaded by those who need it.
    return async ({ signal }) => {
      const { proxyDialer } = await import("./_proxy.ts");
      return await proxyDialer(proxy, { hostname, port, transport }, options, toProxy)({ signal });
    };
  }
  const insecure = transport === "tls" && tls.dangerouslyAcceptAnyCertificate === true;
  if (!via && !insecure) return native({ hostname, port, transport }, options, prove);
  const plain = native({ hostname, port, transport: "tcp" }, options);
  return async ({ signal }) => {
    // Only who needs Node's part of the runtime loads it.
    const link = via
      ? await (await import("./_via.ts")).connectVia({ hostname, port }, via, options, signal)
      : await plain({ signal });
    if (transport === "tcp") return link;
    return await (await import("./_tls_link.ts")).tlsClientLink(link, hostname, tls, signal);
  };
}

function native({ hostname, port, transport }: Host, options: ConnectOptions, prove?: LinkProof): Dialer {
  const { family, noDelay, network, resolver, memory, clock, tls } = options;
  const rest = {
    transport,
    ...(family === undefined ? {} : { family }),
    ...(noDelay === undefined ? {} : { noDelay }),
    ...(network ? { network } : {}),
    ...(resolver ? { resolver } : {}),
    ...(memory ? { memory } : {}),
    ...(clock ? { clock } : {}),
    ...(tls ? { tls } : {}),
  };
  const linkOf = async (conn: Deno.TcpConn | Deno.TlsConn): Promise<Link> => {
    const link = connLink(conn, tcpLinkOptions(options));
    try {
      // The handshake is done, and only told of.
      await link.ready?.();
      return link;
    } catch (error) {
      link.abort();
      throw error;
    }
  };
  const proof = prove && (async (conn: Deno.TcpConn | Deno.TlsConn, { signal }: DialProofOptions) => {
    return await prove(await linkOf(conn), signal);
  });
  return async ({ signal }) => {
    const dialled = await dial({ hostname, port }, { ...rest, signal, ...(proof ? { proof } : {}) });
    return proof ? dialled.proof as Link : await linkOf(dialled.conn);
  };
}

function listenTcp({ hostname, port }: Host, options: ListenOptions): LinkListener {
  const listener = Deno.listen({ hostname, port });
  return connListener(listener, {
    ...tcpLinkOptions(options),
    address: hostAddress("tcp", listener.addr),
    prepare: (conn) => "setNoDelay" in conn && conn.setNoDelay(options.noDelay ?? true),
  });
}

async function listenTls({ hostname, port }: Host, options: ListenOptions): Promise<LinkListener> {
  const { tls, noDelay = true } = options;
  if (typeof tls?.cert !== "string" || typeof tls.key !== "string") {
    throw new TypeError("Cannot listen: tls: needs the options tls.cert and tls.key, both in PEM");
  }
  const { by = "auto" } = tls;
  if (by !== "auto" && by !== "native" && by !== "node:tls") {
    throw new TypeError(`Cannot listen: tls.by must be "auto", "native" or "node:tls", got "${by}"`);
  }
  if (by === "node:tls") return await listenNode({ hostname, port }, tls, options, null);
  const { cert, key, alpnProtocols } = tls;
  const listener = Deno.listenTls({
    ...{ hostname, port, cert, key },
    ...(alpnProtocols ? { alpnProtocols: [...alpnProtocols] } : {}),
  });
  const obstacle = noDelay ? delayObstacle(listener.addr) : null;
  const address = hostAddress("tls", listener.addr);
  if (obstacle === null || by === "native") {
    const report = { by: "native", note: obstacle } as const;
    return connListener(listener, { ...tcpLinkOptions(options), address, report });
  }
  listener.close();
  return await listenNode({ hostname, port: address.port }, tls, options, obstacle);
}

/** Accepts by the runtime, so that who is slow holds back those who come, and does TLS by Node. */
async function listenNode(
  { hostname, port }: SocketAddress,
  tls: PipeServerTlsOptions,
  options: ListenOptions,
  note: string | null,
): Promise<LinkListener> {
  const { serverContext, tlsServerLink } = await import("./_tls_link.ts");
  const context = serverContext(tls);
  const below = listenTcp({ hostname, port, transport: "tcp" }, options);
  const accept = async (): Promise<Link | null> => {
    const link = await below.accept();
    return link && tlsServerLink(link, context, tls);
  };
  return {
    addresses: below.addresses.map((address) =>
      "hostname" in address ? hostAddress("tls", address) : address
    ),
    report: { by: "node:tls", note },
    accept,
    close: () => below.close(),
  };
}

/** Lets a listener's connections send at once; says why not where that cannot be done. */
function delayObstacle(address: SocketAddress): string | null {
  if (Deno.build.os !== "linux") return `TCP_NODELAY of a listener cannot be set on ${Deno.build.os}`;
  const need = libcNeed();
  const missing = `permission missing, add ${flagsOf([need]).join(" ")}`;
  if (wouldPrompt([need])) return missing;
  try {
    return setListenerNoDelay(address) ? null : "the listener's descriptor was not found";
  } catch (error) {
    return error instanceof PermissionError ? missing : (error as Error).message;
  }
}

/** Ends a connection by a reset, where the C library may be used for it. */
function reset({ localAddr, remoteAddr }: StreamConn): boolean {
  if (!("hostname" in localAddr && "hostname" in remoteAddr)) return false;
  const need = libcNeed();
  if (Deno.build.os !== "linux" || wouldPrompt([need])) return false;
  try {
    return resetConnection(localAddr, remoteAddr);
  } catch {
    // Then it ends as a regular close does, which needs no permission.
    return false;
  }
}

function withHost(url: PipeUrl): Host {
  if (url.transport === "tcp" || url.transport === "tls") return { ...url, transport: url.transport };
  throw new TypeError(`Cannot use ${url.transport}: this carries tcp: and tls: only`);
}
