/** Pipes over TCP and TLS. */

import { dial } from "../recover/dial.ts";
import type { PipeUrl } from "./address.ts";
import { connLink, hostAddress } from "./_conn_link.ts";
import { connListener } from "./_conn_listener.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Dialer, LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
import type { PipeTransport } from "./_transport.ts";

/** Carries `tcp:` and `tls:`. */
export const tcpTransport: PipeTransport = {
  schemes: ["tcp", "tls"],
  dial: dialerOf,
  listen: listenOn,
};

function dialerOf(url: PipeUrl, options: ConnectOptions): Dialer {
  const { hostname, port, transport } = withHost(url);
  const { family, noDelay, network, resolver, memory, clock, tls } = options;
  const rest = {
    ...(family === undefined ? {} : { family }),
    ...(noDelay === undefined ? {} : { noDelay }),
    ...(network ? { network } : {}),
    ...(resolver ? { resolver } : {}),
    ...(memory ? { memory } : {}),
    ...(clock ? { clock } : {}),
    ...(tls ? { tls } : {}),
  };
  return async ({ signal }) => {
    const { conn } = await dial({ hostname, port }, { ...rest, transport, signal });
    const link = connLink(conn, { ...(clock ? { clock } : {}) });
    // The handshake is done, and only told of.
    await link.ready?.();
    return link;
  };
}

async function listenOn(url: PipeUrl, options: ListenOptions): Promise<LinkListener> {
  const { hostname, port } = withHost(url);
  const { noDelay = true, clock } = options;
  const listener = Deno.listen({ hostname, port });
  return await Promise.resolve(connListener(listener, {
    address: hostAddress("tcp", listener.addr),
    prepare: (conn) => "setNoDelay" in conn ? conn.setNoDelay(noDelay) : undefined,
    ...(clock ? { clock } : {}),
  }));
}

interface Host {
  readonly hostname: string;
  readonly port: number;
  readonly transport: "tcp" | "tls";
}

function withHost(url: PipeUrl): Host {
  if (url.transport === "tcp" || url.transport === "tls") return { ...url, transport: url.transport };
  throw new TypeError(`Cannot use ${url.transport}: this carries tcp: and tls: only`);
}
