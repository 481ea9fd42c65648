/** Run under Wine: watches by polling until its input ends, and prints every settled change as a line of JSON. */

import { type NetworkState, watchNetwork } from "../../watch/mod.ts";
import { describe } from "../netns/_describe.ts";

function tell({ interfaces, defaultRoute: { v4 }, families }: NetworkState, events: readonly string[]): void {
  const facts = interfaces.map(({ name, addresses }) => [name, ...addresses.map(({ address }) => address)]);
  console.log(JSON.stringify({ events, interfaces: facts, gateway: v4?.gateway ?? null, families }));
}

const watcher = await watchNetwork({ backend: "poll", pollInterval: 100 });
tell(watcher.state, [watcher.report.reader]);
const watching = (async () => {
  for await (const { events } of watcher) tell(watcher.state, events.map(describe));
})();
for await (const _ of Deno.stdin.readable);
await watcher.close();
await watching;
