/**
 * Sessions in a server of HTTP that is there already: `examples/session_mount.ts [PORT]`.
 *
 * `/` is a page of its own, `/live` takes sessions over WebSocket: each client is told the time every second, and misses none
 * of it, whatever its connections go through. Clients connect with `connect("resume+ws://...")` of `@holdfast/net/pipes/ws`.
 */

// run: deno run --allow-net examples/session_mount.ts 8080

import { serveSessions, type SessionPipe } from "@holdfast/net/pipes/resume";
import { lines } from "@holdfast/net/pipes";
import { onShutdown } from "@holdfast/net/recover";

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);
const clients = new Set<SessionPipe>();
const sessions = stack.use(await serveSessions(null, { framing: lines() }));
const port = Number(Deno.args[0] ?? "8080");
const http = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, (request, info) => {
  if (new URL(request.url).pathname !== "/live") return new Response(`${clients.size} clients\n`);
  const { response, session } = sessions.upgrade(request, { info });
  // It begins after the answer; `null` where this connection goes on with a session that is there.
  void session.then((pipe) => pipe && welcome(pipe));
  return response;
});
stack.defer(() => http.shutdown());
stack.defer(() => clients.forEach((client) => client.abort()));
console.log(
  `A page at http://127.0.0.1:${http.addr.port}/, sessions at resume+ws://127.0.0.1:${http.addr.port}/live`,
);

let second = 0;
const timer = setInterval(() => {
  second++;
  for (const client of clients) client.send(`second ${second}`).catch(() => {});
}, 1000);
stack.defer(() => clearInterval(timer));
await http.finished;

/** Tells the time to a client until it leaves. */
function welcome(client: SessionPipe): void {
  clients.add(client);
  client.on("end", () => clients.delete(client));
  client.on("error", ({ fatal }) => fatal && clients.delete(client));
  client.on("message", () => client.send(`second ${second}`));
}
