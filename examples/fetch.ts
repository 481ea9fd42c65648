/**
 * Fetches a page over and over, through a minute of flight mode: `examples/fetch.ts [SECONDS] [URL]`.
 *
 * Switch the network off while it runs, and on again: nothing is tried meanwhile, and the next page is there within a
 * fraction of a second. It ends after so many seconds (60). Without a URL it asks a server of its own, on this machine.
 */

// run: deno run --allow-net --allow-ffi examples/fetch.ts 2

import { compose, onShutdown, retry, timeout } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [seconds = "60", url] = Deno.args;

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);

let page = url;
if (page === undefined) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("hello"));
  stack.defer(() => server.shutdown());
  page = `http://127.0.0.1:${server.addr.port}/`;
}

const watcher = stack.use(await watchNetwork());
const network = url === undefined ? undefined : watcher;
// A GET may be sent twice, so all of its failures can be repaired.
const again = retry({ network, maxAttempts: 10, idempotent: true });
again.on("suspended", () => console.log("No network; waiting for it"));
again.on("resumed", () => console.log("The network is back"));
again.on("failure", ({ failure }) => console.log(`Failed: ${failure.hint}`));
const policy = compose(again, timeout(5000));

const end = performance.now() + Number(seconds) * 1000;
for (let n = 1; performance.now() < end; n++) {
  const began = performance.now();
  const text = await policy.execute(async ({ signal }) => await (await fetch(page, { signal })).text());
  console.log(`Page ${n}: ${text.length} characters in ${Math.round(performance.now() - began)} ms`);
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.log("Done");
