/**
 * A job that runs every so often, and only where it can succeed: `examples/job.ts [TIMES] [PERIOD] [HOST:PORT]`.
 *
 * Before each run it waits until the network and the target are ready, as after waking from sleep, when addresses are
 * right and the first seconds fail all the same. It runs so many times (3), a period of seconds (10) apart. Without a
 * target it looks at a server of its own, on this machine.
 */

// run: deno run --allow-net --allow-ffi examples/job.ts 2 0.1

import { onShutdown, ready } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [times = "3", period = "10", target] = Deno.args;

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);
const watcher = stack.use(await watchNetwork());
const there = target ?? ownServer();

for (let n = 1; n <= Number(times); n++) {
  const report = await ready(watcher, { target: there, timeout: 60_000 });
  for (const { name, outcome, detail } of report.steps) console.log(`  ${name}: ${outcome}, ${detail}`);
  if (report.ready) console.log(`Run ${n}: ${await job()}`);
  else console.log(`Run ${n}: not now`);
  if (n < Number(times)) await new Promise((resolve) => setTimeout(resolve, Number(period) * 1000));
}
console.log("Done");

/** What is to be done: here, to see how long a connection takes. */
async function job(): Promise<string> {
  const at = there.lastIndexOf(":");
  const began = performance.now();
  const hostname = there.slice(0, at).replace(/^\[(.*)\]$/, "$1");
  using _connection = await Deno.connect({ hostname, port: Number(there.slice(at + 1)) });
  return `connected in ${(performance.now() - began).toFixed(1)} ms`;
}

/** A server that accepts and hangs up. */
function ownServer(): string {
  const listener = stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  (async () => {
    for await (const connection of listener) connection.close();
  })();
  return `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
}
