/**
 * A server of HTTP and one that echoes, which outlive the loss of all descriptors:
 * `examples/server_under_exhaustion.ts [SECONDS] [PORT]`.
 *
 * Run it by `sh -c "ulimit -n 60; exec deno run ..."`, and open more connections than that to see it at work. It ends
 * after so many seconds (60). The other server listens on the next port; with the port 0 both are free ones.
 */

// run: deno run --allow-net=127.0.0.1 examples/server_under_exhaustion.ts 1 0

import { acceptLoop, onShutdown, serve } from "@holdfast/net/recover";

const [seconds = 60, port = 8080] = Deno.args.map(Number);
const hostname = "127.0.0.1";

await using servers = new AsyncDisposableStack();
// `await using` alone does not run on Ctrl-C.
using _ = onShutdown(servers);

// `Deno.serve` would end with the first EMFILE; this one comes back, and turns away what is too much.
const http = servers.use(
  serve(() => new Response("hello\n"), { hostname, port, maxInFlight: 200, onListen() {} }),
);
http.on("down", ({ error }) => console.log(`The HTTP server is down: ${error}`));
http.on("restart", ({ downFor }) => console.log(`The HTTP server is back after ${Math.round(downFor)} ms`));

// `for await (const connection of listener)` would end, too. Silent clients are cut after five seconds.
const listener = Deno.listen({ hostname, port: port && port + 1 });
const echo = servers.use(
  acceptLoop(listener, async (connection, { established }) => {
    const writer = connection.writable.getWriter();
    for await (const bytes of connection.readable) {
      established();
      await writer.write(bytes);
    }
  }, {
    maxConnections: 800,
    maxPerAddress: 100,
    firstMessageDeadline: 5000,
    onError: (error) => console.log(`A connection failed: ${error}`),
  }),
);
echo.on(
  "pause",
  ({ delay }) => console.log(`No descriptors; accepting again within ${Math.round(delay)} ms`),
);
echo.on("expired", () => console.log("A silent client was cut"));

console.log(`HTTP at http://${hostname}:${http.addr.port}/, echo at ${hostname}:${listener.addr.port}`);
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
console.log("Done");
