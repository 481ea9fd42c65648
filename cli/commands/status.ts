/** `holdfast status`. */

import { watchNetwork } from "../../watch/mod.ts";
import { watchBackend } from "../backend_option.ts";
import { EXIT } from "../failure.ts";
import { formatState } from "../format_state.ts";
import type { Context } from "../spec.ts";

/** Shows the state once. */
export async function run({ values, json, emit, print, style, signal }: Context): Promise<number> {
  // A watcher and not a snapshot: it tells which backend it is.
  await using watcher = await watchNetwork({ backend: watchBackend(values), signal });
  const { state, backend } = watcher;
  if (json) await emit({ type: "state", at: state.at, state });
  else await print(formatState(state, backend, style).join("\n"));
  return EXIT.fine;
}
