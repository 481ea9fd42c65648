/**
 * Asks STUN servers for the public address: `examples/external.ts [HOST:PORT]...`.
 *
 * Without servers it starts three of its own, one of which lies, so that it runs anywhere. Real ones need more:
 * `deno run --allow-net examples/external.ts stun.example.org stun.example.net`.
 */

// run: deno run --allow-net=127.0.0.1 examples/external.ts

import { externalAddress } from "@holdfast/net/watch";
import { startStunServer } from "@holdfast/net/testing";

await using stack = new AsyncDisposableStack();

/** Servers on this machine, and how to ask them without leaving it. */
async function ownServers() {
  const servers: string[] = [];
  for (const mode of ["honest", "liar", "honest"] as const) {
    servers.push(stack.use(await startStunServer({ mode })).url);
  }
  return { servers, localAddress: { v4: "127.0.0.1" } };
}

const options = Deno.args.length > 0 ? { servers: Deno.args } : await ownServers();
const { v4, v6, servers } = await externalAddress(options);

for (const seen of [v4, v6]) {
  if (!seen) continue;
  console.log(`${seen.address}: ${seen.agreed} of ${seen.answered} servers agree (${seen.agreement})`);
  console.log(`  mapping by address translation: ${seen.mapping}`);
}
if (!v4 && !v6) console.log("No server has answered");

for (const one of servers) {
  const said = one.outcome === "answered"
    ? `${one.address} port ${one.port}, after ${one.elapsed.toFixed(0)} ms`
    : one.detail;
  console.log(`${one.server} for IPv${one.family}: ${said}`);
}
