/** The resolver's files seen through the runtime, for sources without the C library. */

import { type Need, permissionState, wouldPrompt } from "../internal/permissions.ts";
import { readDns, RESOLV_CONF, RESOLVED_CONF, resolveTarget, watchedNames } from "./_resolv.ts";
import type { DnsConfig } from "./state.ts";

function allowed(path: string): boolean {
  const need: Need = { name: "read", path };
  return permissionState(need) === "granted" || !wouldPrompt([need]);
}

/** What the action gives, or `null` where the runtime or the system refuses it: the resolver is then out of sight. */
function orNull<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    // Not granted, no such file, no link (a TypeError), no inotify instance left (an Error without a code): the ways to
    // be refused are many, and with none of them is the rest of the network harder to see.
    return null;
  }
}

/** Reads the resolver's configuration, or `null` where it cannot be read or a person would have to be asked. */
export function readDnsFiles(): DnsConfig | null {
  return readDns((path) => allowed(path) ? orNull(() => Deno.readTextFileSync(path)) : null);
}

/**
 * Watches the directories of the resolver's files.
 *
 * @param onChange Called when one of them may have changed.
 * @returns The watch, which does not keep the process alive, or `null` where the directories cannot be watched.
 */
export function watchDnsFiles(onChange: () => void): Disposable | null {
  const link = allowed(RESOLV_CONF) ? orNull(() => Deno.readLinkSync(RESOLV_CONF)) : null;
  const names = watchedNames(link === null ? null : resolveTarget(RESOLV_CONF, link));
  const directories = [...names.keys()].filter((path) =>
    allowed(path) && orNull(() => Deno.statSync(path)) !== null
  );
  const main = RESOLV_CONF.slice(0, RESOLV_CONF.lastIndexOf("/"));
  if (!directories.includes(main)) return null;
  const watcher = orNull(() => Deno.watchFs(directories, { recursive: false }));
  if (!watcher) return null;
  const paths = new Set(
    [...names].flatMap(([directory, files]) => [...files].map((file) => `${directory}/${file}`)),
  );
  paths.add(RESOLVED_CONF);
  void follow(watcher, paths, onChange);
  return { [Symbol.dispose]: () => watcher.close() };
}

async function follow(
  watcher: Deno.FsWatcher & { unref?(): void },
  paths: ReadonlySet<string>,
  onChange: () => void,
): Promise<void> {
  const events = watcher[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = events.next();
      // There at run time (Deno 2.9), not in the types yet, and for the pending call alone; without it a watcher would
      // keep the process alive.
      watcher.unref?.();
      const { done, value } = await next;
      if (done) return;
      if (value.kind !== "access" && value.paths.some((path) => paths.has(path))) onChange();
    }
  } catch {
    // The system has given up watching; readings go on to read the files, and the next one does so now.
    onChange();
  }
}
