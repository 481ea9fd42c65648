/**
 * Shows the network, and follows its changes: `examples/watch.ts [SECONDS] [CHANGES]`.
 *
 * It ends after so many seconds (60) or settled changes (10), whichever comes first.
 */

// run: deno run --allow-ffi examples/watch.ts 2

import { onShutdown, watchNetwork } from "@holdfast/net/watch";

const [seconds = 60, changes = 10] = Deno.args.map(Number);

await using watcher = await watchNetwork({ signal: AbortSignal.timeout(seconds * 1000) });
// `await using` alone does not run on Ctrl-C.
using _ = onShutdown(watcher);

const { families, defaultRoute, interfaces, dns } = watcher.state;
console.log(`Watching by ${watcher.backend}`);
console.log(`Online: ${families.map((family) => `IPv${family}`).join(" and ") || "no"}`);
console.log(`Gateway: ${defaultRoute.v4?.gateway ?? defaultRoute.v6?.gateway ?? "none"}`);
console.log(`Name servers: ${dns?.servers.join(", ") || "none"}`);
for (const { name, running, addresses } of interfaces) {
  console.log(`${name} is ${running ? "running" : "down"}:`, ...addresses.map(({ address }) => address));
}

// Single events come at once ...
watcher.on("online", ({ family }) => console.log(`IPv${family} is there`));
watcher.on("offline", ({ family }) => console.log(`IPv${family} is gone`));

// ... and settled changes when the network is quiet again.
let left = changes;
for await (const { events, major, reasons } of watcher) {
  console.log(`Changed: ${events.map(({ type }) => type).join(", ")}`);
  if (major !== "none") console.log(`Reconnecting is ${major}: ${reasons.join("; ")}`);
  if (--left <= 0) break;
}
console.log("Done");
