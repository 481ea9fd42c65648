/** The suite that every pipe passes, through proxies. */

import { assertEquals } from "@std/assert";
import { pipeFromConn } from "../pipes/from_conn.ts";
import { webSocket } from "../pipes/ws.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { connectedPair, pipeContract, type PipeSubject } from "./_pipe_contract.ts";
import { type ProxyServerOptions, startProxy } from "./_proxy_server.ts";

const authority = await makeTestAuthority();
const { cert, key } = await authority.issue();

const stream = { unit: "bytes", reliable: true, halfClose: true, resets: false } as const;

const adopt = (connection: unknown) => pipeFromConn(connection as Deno.TcpConn);

/** A pair whose one end went through a proxy. */
function through(server: ProxyServerOptions, scheme: string, target: string): PipeSubject["pair"] {
  return async (options) => {
    const proxy = startProxy(server);
    const tls = { caCerts: [authority.cert] };
    const transports = target.startsWith("ws") ? [webSocket()] : [];
    const pair = await connectedPair(target, {
      connect: { ...options, tls, transports, proxy: `${scheme}://127.0.0.1:${proxy.port}` },
      listen: { ...options, tls: { cert, key }, transports },
    });
    assertEquals(proxy.asked.length, 1);
    return {
      ...pair,
      async [Symbol.asyncDispose]() {
        await pair[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      },
    };
  };
}

pipeContract({
  ...stream,
  name: "tcp through CONNECT",
  pair: through({ kind: "http" }, "http", "tcp://127.0.0.1:0"),
  adopt,
});
pipeContract({
  ...stream,
  name: "tcp through SOCKS",
  pair: through({ kind: "socks5" }, "socks5", "tcp://127.0.0.1:0"),
  adopt,
});
pipeContract({
  ...stream,
  name: "tls through CONNECT",
  pair: through({ kind: "http" }, "http", "tls://127.0.0.1:0"),
  adopt,
});
pipeContract({
  ...stream,
  name: "tls through CONNECT over TLS",
  pair: through({ kind: "http", tls: { cert, key } }, "https", "tls://127.0.0.1:0"),
  adopt,
});
pipeContract({
  name: "wss through SOCKS",
  unit: "message",
  reliable: true,
  halfClose: false,
  resets: false,
  pair: through({ kind: "socks5" }, "socks5h", "wss://127.0.0.1:0/"),
});
