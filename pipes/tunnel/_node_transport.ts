/** TCP by Node's part of the runtime, whose sockets can be reset on every system and without the C library. */

import * as net from "node:net";
import { hostAddress } from "../_conn_link.ts";
import type { Link, LinkListener } from "../_link.ts";
import { nodeLink } from "../_node_link.ts";
import { raceAddresses } from "../_race_addresses.ts";
import type { PipeTransport } from "../_transport.ts";

/** Carries `tcp:`. */
export const nodeTransport: PipeTransport = {
  schemes: ["tcp"],
  dial: (url, { clock, resolver }) => {
    if (url.transport !== "tcp") throw new TypeError(`Cannot use ${url.transport}: this carries tcp: only`);
    const { hostname, port } = url;
    const common = { hostname, port, clock, attempt: dialOnce, ...(resolver ? { resolver } : {}) };
    return ({ signal }) => raceAddresses(common, signal);
  },
  listen: (url) => {
    if (url.transport !== "tcp") throw new TypeError(`Cannot use ${url.transport}: this carries tcp: only`);
    return listenOn(url);
  },
};

function dialOnce(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  signal: AbortSignal,
): Promise<Link> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = net.connect({ host: hostname, port, allowHalfOpen: true, noDelay: true });
    const over = (): void => signal.removeEventListener("abort", abort);
    const abort = (): void => {
      over();
      // Whatever it still says is no news.
      socket.on("error", () => {});
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", (error) => {
      over();
      reject(error);
    });
    socket.once("connect", () => {
      over();
      resolve(linkOf(socket));
    });
  });
}

async function listenOn(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): Promise<LinkListener> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true });
  const links: Link[] = [];
  let wake: ((link: Link | null) => void) | undefined;
  let closed = false;
  server.on("connection", (socket) => {
    const link = linkOf(socket);
    if (wake) wake(link);
    else links.push(link);
    wake = undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(hostname === "" ? {} : { host: hostname }) }, resolve);
  });
  const { address, port: actual } = server.address() as net.AddressInfo;
  return {
    addresses: [hostAddress("tcp", { hostname: address, port: actual })],
    report: { by: "other", note: "by Node's part of the runtime, which can reset a connection" },
    accept: () => {
      const link = links.shift();
      if (link || closed) return Promise.resolve(link ?? null);
      return new Promise((resolve) => wake = resolve);
    },
    close: () => {
      closed = true;
      for (const link of links.splice(0)) link.abort();
      wake?.(null);
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function linkOf(socket: net.Socket): Link {
  const address = (hostname = "", port = 0) => hostAddress("tcp", { hostname, port });
  return nodeLink(socket, {
    transport: "tcp",
    localAddress: address(socket.localAddress, socket.localPort),
    remoteAddress: address(socket.remoteAddress, socket.remotePort),
  });
}
