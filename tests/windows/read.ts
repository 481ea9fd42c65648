/** Run under Wine: prints what the native reader and `auto` give, or snapshots by the backends named. */

import { windowsReader } from "../../watch/_read_windows.ts";
import { type BackendName, probeBackends, snapshot, watchNetwork } from "../../watch/mod.ts";

const told: Record<string, unknown> = {};
if (Deno.args.length === 0) {
  await using watcher = await watchNetwork();
  told["backend"] = watcher.backend;
  told["report"] = watcher.report;
  told["probed"] = await probeBackends();
  using reader = windowsReader();
  told["reading"] = await reader.read();
} else {
  for (const backend of Deno.args) {
    try {
      told[backend] = await snapshot({ backend: backend as BackendName });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      told[backend] = { ...error, message: error.message };
    }
  }
}
console.log(JSON.stringify(told));
