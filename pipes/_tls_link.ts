/** TLS over any link of bytes, by Node's part of the runtime: slower than the runtime's own, and nothing it cannot do. */

import { isIP } from "node:net";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import type { HostAddress } from "./address.ts";
import type { PipeTlsOptions } from "./connect.ts";
import type { Link } from "./_link.ts";
import type { PipeServerTlsOptions } from "./listen.ts";
import { nodeLink } from "./_node_link.ts";
import { TlsBelow } from "./_tls_below.ts";

/** Keeps a server's certificate and key in the form that each connection needs. */
export type ServerContext = tls.SecureContext;

/**
 * Reads a server's certificate and key.
 *
 * @throws What is wrong with them.
 */
export function serverContext({ cert, key }: PipeServerTlsOptions): ServerContext {
  return tls.createSecureContext({ cert, key });
}

/**
 * Makes the server's end of TLS. Its handshake is done by `ready()`.
 *
 * @param link The connection below, which belongs to it now.
 * @param secureContext Who it is.
 * @param options The protocols spoken.
 */
export function tlsServerLink(link: Link, secureContext: ServerContext, options: PipeServerTlsOptions): Link {
  const { alpnProtocols = [] } = options;
  const below = new TlsBelow(link);
  const socket = new tls.TLSSocket(below.stream as Socket, {
    isServer: true,
    secureContext,
    allowHalfOpen: true,
    ...(alpnProtocols.length > 0 ? { ALPNProtocols: [...alpnProtocols] } : {}),
  } as tls.TLSSocketOptions);
  const done = event(socket, "secure");
  return Object.assign(overTls(socket, below), { ready: () => done });
}

/**
 * Does the client's part of TLS.
 *
 * @param link The connection below, which belongs to it now.
 * @param hostname The name that the certificate must be good for, unless the options have another one.
 * @param options What is asked of the other end.
 * @param signal Calls it off.
 * @returns The link, its handshake done.
 */
export async function tlsClientLink(
  link: Link,
  hostname: string,
  options: PipeTlsOptions,
  signal: AbortSignal,
): Promise<Link> {
  const { caCerts, alpnProtocols, serverName = hostname, dangerouslyAcceptAnyCertificate = false } = options;
  const abort = (): void => link.abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    const below = new TlsBelow(link);
    const socket = tls.connect({
      socket: below.stream as Socket,
      host: serverName,
      rejectUnauthorized: !dangerouslyAcceptAnyCertificate,
      allowHalfOpen: true,
      // RFC 6066 section 3: an address is no name.
      ...(isIP(serverName) ? {} : { servername: serverName }),
      ...(caCerts ? { ca: [...tls.rootCertificates, ...caCerts] } : {}),
      ...(alpnProtocols ? { ALPNProtocols: [...alpnProtocols] } : {}),
    } as tls.ConnectionOptions);
    const secure = overTls(socket, below);
    await event(socket, "secureConnect");
    signal.throwIfAborted();
    return secure;
  } catch (error) {
    link.abort();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function overTls(socket: tls.TLSSocket, below: TlsBelow): Link {
  const { link } = below;
  below.attach(socket);
  const as = (address: Link["localAddress"]): Link["localAddress"] =>
    "hostname" in address ? { ...address, transport: "tls" } as HostAddress : address;
  return nodeLink(socket, {
    transport: "tls",
    localAddress: as(link.localAddress),
    remoteAddress: as(link.remoteAddress),
    below,
    extra: () => ({ alpn: socket.alpnProtocol || null }),
  });
}

/** Waits for the handshake. */
function event(socket: tls.TLSSocket, name: "secure" | "secureConnect"): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    socket.once(name, resolve);
    socket.once("error", reject);
    socket.once(
      "close",
      () =>
        reject(Object.assign(new Error("Cannot shake hands: the connection was closed"), {
          code: "ECONNRESET",
        })),
    );
  });
  done.catch(() => {}); // whoever waits is told
  return done;
}
