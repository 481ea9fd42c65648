/** `holdfast watch`. */

import { type NetworkWatcher, watchNetwork } from "../../watch/mod.ts";
import { watchBackend } from "../backend_option.ts";
import { EXIT } from "../failure.ts";
import { formatEvent } from "../format_event.ts";
import { formatState } from "../format_state.ts";
import { commandLogger } from "../logger.ts";
import { merge } from "../merge.ts";
import type { Context } from "../spec.ts";
import { parseStunServers } from "../stun_servers.ts";
import { given } from "../values.ts";

/** Shows the state, then every event until the signal. */
export async function run(context: Context): Promise<number> {
  const { values, signal, complain } = context;
  const servers = parseStunServers(values.list("external"));
  await using watcher = await watchNetwork({
    backend: watchBackend(values),
    signal,
    // What goes wrong in the background, such as a permission that asking a server needs, is told all the same;
    // who has closed standard error has no wish to hear of it.
    logger: commandLogger(values.text("log") ?? "warn", (text) => void complain(text).catch(() => {})),
    ...given({
      quiet: values.number("quiet"),
      ceiling: values.number("ceiling"),
      grace: values.number("grace"),
      pollInterval: values.number("poll-interval"),
      external: servers.length > 0 ? { servers } : undefined,
    }),
  });
  await follow(watcher, context, values.flag("settled"));
  return EXIT.fine;
}

/**
 * Writes the state of a watcher and what happens from then on.
 *
 * @param watcher What to follow.
 * @param context Where to write, and how.
 * @param settled Whether to leave out single events.
 * @returns Resolves when the watcher is closed.
 */
export async function follow(
  watcher: Pick<NetworkWatcher, "state" | "events" | "backend" | "report" | typeof Symbol.asyncIterator>,
  { json, emit, print, note, style }: Pick<Context, "json" | "emit" | "print" | "note" | "style">,
  settled: boolean,
): Promise<void> {
  // Both before the state is read: nothing can fall between the state and the first event.
  const changes = watcher[Symbol.asyncIterator]();
  const stream = settled ? changes : merge(watcher.events[Symbol.asyncIterator](), changes);
  const { state } = watcher;
  if (json) await emit({ type: "state", at: state.at, state });
  else await print([...formatState(state, watcher.backend, style), ""].join("\n"));
  for (const { backend, reason } of watcher.report.passedOver) {
    await note(`${backend} passed over: ${reason}`);
  }
  let before = state.at;
  for (let next = await stream.next(); !next.done; next = await stream.next()) {
    const event = next.value;
    if (json) await emit(event);
    else await print(formatEvent(event, before, style));
    before = event.at;
  }
}
