/**
 * The other processes of the measurements of pushed sockets: `raw FD-PATH COUNT`, `sink PATH`, `front PATH SINK-PORT`.
 *
 * @module
 */

import process from "node:process";
import { POLLIN, whenReady } from "../internal/ffi/descriptor_poll.ts";
import { EAGAIN, receiveMessage, sendMessage } from "../internal/ffi/socket_messages.ts";
import { connect } from "../pipes/connect.ts";
import { needCalls } from "../pipes/push/_descriptor_calls.ts";
import { connectPath } from "../pipes/push/_scm_socket.ts";
import { pushTo } from "../pipes/push/push.ts";
import { receive } from "../pipes/push/receive.ts";
import { serveHttp } from "../pipes/push/serve_http.ts";
import { relay } from "../pipes/relay.ts";
import { pipeFromConn } from "../pipes/from_conn.ts";

const local = { hostname: "127.0.0.1", port: 0 } as const;
const [role, path = "", number = "0"] = Deno.args;

if (role === "raw") await raw(Number(number));
if (role === "sink") await sink();
if (role === "front") await front(Number(number));

/** Takes bare descriptors, and closes them. */
async function raw(count: number): Promise<void> {
  using calls = needCalls("measure");
  const { fd } = connectPath(calls, path, undefined);
  for (let taken = 0; taken < count;) {
    const message = receiveMessage(calls, fd);
    if (message === -EAGAIN) {
      await new Promise<void>((resolve) => void whenReady(fd, POLLIN, () => resolve()));
      continue;
    }
    if (typeof message === "number") throw new Error(`Cannot measure: error ${-message}`);
    for (const descriptor of message.descriptors) calls.call.close(descriptor);
    taken += message.descriptors.length;
  }
  sendMessage(calls, fd, new Uint8Array(1));
  calls.call.close(fd);
}

/** Counts what comes by connections of its own and by pushed ones, and serves HTTP in three ways. */
async function sink(): Promise<void> {
  const drain = async (conn: Deno.Conn): Promise<void> => {
    const chunk = new Uint8Array(64 * 1024);
    while (await conn.read(chunk) !== null);
    await conn.write(chunk.subarray(0, 1)).catch(() => {});
    conn.close();
  };
  const native = Deno.listen(local);
  (async () => {
    for await (const conn of native) void drain(conn).catch(() => {});
  })();
  // A length, so that each way ends an answer in the same manner.
  const answer = (): Response => new Response("hello", { headers: { "content-length": "5" } });
  const served = Deno.serve({ ...local, onListen() {} }, answer);
  await using receiver = await receive(path, { window: 256 });
  const ports: Record<string, number> = { native: native.addr.port, served: served.addr.port };
  console.log(JSON.stringify(ports));
  for await (const received of receiver) {
    if (received.kind === "listener") {
      const by = received.metadata as "Deno.serve" | "node:http";
      void (await serveHttp(received.listener, answer, { by }));
    } else if (received.kind === "stream") {
      // What is only counted is closed at once.
      if (received.metadata === "count") void received.pipe.close().catch(() => {});
      else {
        const { connection } = await received.pipe.detach();
        void drain(connection as Deno.Conn).catch(() => {});
      }
    }
  }
}

/** Pushes what comes to the one port, relays what comes to the other, and tells on the third what that cost. */
async function front(sinkPort: number): Promise<void> {
  await using channel = await pushTo(path);
  const [pushing, relaying, telling] = [Deno.listen(local), Deno.listen(local), Deno.listen(local)];
  const each = async (
    listener: Deno.TcpListener,
    handle: (conn: Deno.TcpConn) => Promise<unknown>,
  ): Promise<void> => {
    for await (const conn of listener) void handle(conn).catch(() => {});
  };
  console.log(JSON.stringify({ push: pushing.addr.port, relay: relaying.addr.port, cpu: telling.addr.port }));
  await Promise.all([
    each(pushing, (conn) => channel.push(conn)),
    each(
      relaying,
      async (conn) => await relay(await pipeFromConn(conn), await connect(`tcp://127.0.0.1:${sinkPort}`)),
    ),
    each(telling, async (conn) => {
      const { user, system } = process.cpuUsage();
      await conn.write(new TextEncoder().encode(JSON.stringify((user + system) / 1000)));
      conn.close();
    }),
  ]);
}
