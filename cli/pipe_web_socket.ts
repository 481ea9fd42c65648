/** WebSocket for `holdfast pipe`: by the runtime's own client, so that the command needs no package from npm. */

import type { PipeUrl } from "../pipes/address.ts";
import type { ConnectOptions } from "../pipes/connect.ts";
import type { Dialer, Link } from "../pipes/_link.ts";
import type { PipeTransport } from "../pipes/_transport.ts";
import { WebSocketLink } from "../pipes/_web_socket_link.ts";
import { formatPipeAddress } from "../pipes/address.ts";

/** How much may wait while standard output takes nothing: this client cannot hold the other end back. */
const MAX_UNREAD = 64 * 1024 * 1024;

/** How long closing waits for the other end's goodbye, in milliseconds. */
const CLOSE_TIMEOUT = 2000;

/** Makes what carries `ws:` and `wss:` as a client. */
export function webSocketClient(): PipeTransport {
  return {
    schemes: ["ws", "wss"],
    dial: (url, options) => dialer(url, options),
    listen: () => Promise.reject(new TypeError("Cannot listen: this is only a client of WebSocket")),
  };
}

function dialer(url: PipeUrl, { tls, clock }: ConnectOptions): Dialer {
  if (url.transport !== "ws" && url.transport !== "wss") throw new TypeError(`Cannot use ${url.transport}`);
  const { transport, hostname, port, path } = url;
  const remoteAddress = { transport, hostname, port } as const;
  const localAddress = { transport, hostname: "", port: 0 } as const;
  const common = { localAddress, remoteAddress, maxUnread: MAX_UNREAD, binary: false, clock };
  return async ({ signal }): Promise<Link> => {
    signal.throwIfAborted();
    const client = tls?.caCerts ? Deno.createHttpClient({ caCerts: [...tls.caCerts] }) : undefined;
    const where = `${formatPipeAddress(remoteAddress)}${path}`;
    const socket = new WebSocket(where, client ? { client } : {});
    socket.addEventListener("close", () => client?.close());
    const link = new WebSocketLink(socket, { ...common, closeTimeout: CLOSE_TIMEOUT });
    await opened(socket, signal);
    return link;
  };
}

function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      socket.close();
      reject(signal.reason);
    };
    signal.addEventListener("abort", aborted, { once: true });
    const done = (settle: () => void) => (): void => {
      signal.removeEventListener("abort", aborted);
      settle();
    };
    socket.addEventListener("open", done(resolve), { once: true });
    socket.addEventListener("error", (event) => {
      const { error, message } = event as ErrorEvent;
      done(() => reject(error ?? new Error(message)))();
    }, { once: true });
  });
}
