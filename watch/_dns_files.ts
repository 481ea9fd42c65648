/** The resolver's files seen through the runtime, for sources without the C library. */

import { type Need, permissionState, wouldPrompt } from "../internal/permissions.ts";
import { readDns, RESOLV_CONF, resolveTarget, watchedNames } from "./_resolv.ts";
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

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Reads the resolver's configuration, or `null` where it cannot be read or a person would have to be asked. */
export function readDnsFiles(): DnsConfig | null {
  // Windows has no such files, and that they are missing would read as a resolver without servers.
  if (Deno.build.os === "windows") return null;
  return readDns((path) => allowed(path) ? orNull(() => readText(path)) : null);
}

/** Where to watch as the files lie now, and for what. */
function places(): { readonly directories: readonly string[]; readonly paths: ReadonlySet<string> } {
  const link = allowed(RESOLV_CONF) ? orNull(() => Deno.readLinkSync(RESOLV_CONF)) : null;
  const names = watchedNames(link === null ? null : resolveTarget(RESOLV_CONF, link));
  const directories = [...names.keys()].filter((path) =>
    allowed(path) && orNull(() => Deno.statSync(path)) !== null
  );
  // Some systems tell of a directory by its real path (/private/var/run on macOS).
  const paths = [...names].flatMap(([directory, files]) => {
    const real = directories.includes(directory) ? orNull(() => Deno.realPathSync(directory)) : null;
    return [directory, real ?? directory].flatMap((place) => [...files].map((file) => `${place}/${file}`));
  });
  return { directories, paths: new Set(paths) };
}

/**
 * Watches the directories of the resolver's files.
 *
 * @param onChange Called when one of them may have changed.
 * @returns The watch, which does not keep the process alive, or `null` where the directories cannot be watched.
 */
export function watchDnsFiles(onChange: () => void): Disposable | null {
  const main = RESOLV_CONF.slice(0, RESOLV_CONF.lastIndexOf("/"));
  if (!places().directories.includes(main)) return null;
  const watch = new FilesWatch(onChange);
  return watch.open() ? watch : null;
}

class FilesWatch implements Disposable {
  readonly #onChange: () => void;
  #places = places();
  #watcher: Deno.FsWatcher | null = null;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Begins to watch, in place of what is watched already; `false` where the system refuses. */
  open(): boolean {
    const opened = orNull(() => Deno.watchFs([...this.#places.directories], { recursive: false }));
    if (!opened) return false;
    this[Symbol.dispose]();
    this.#watcher = opened;
    void this.#follow(opened);
    return true;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  async #follow(watcher: Deno.FsWatcher & { unref?(): void }): Promise<void> {
    const events = watcher[Symbol.asyncIterator]();
    try {
      while (watcher === this.#watcher) {
        const next = events.next();
        // There at run time (Deno 2.9), not in the types yet, and for the pending call alone; without it a watcher would
        // keep the process alive.
        watcher.unref?.();
        const { done, value } = await next;
        if (done) return;
        if (value.kind !== "access") this.#onEvent(value.paths);
      }
    } catch {
      // The system has given up watching; readings go on to read the files, and the next one does so now.
      this.#onChange();
    }
  }

  #onEvent(paths: readonly string[]): void {
    if (!paths.some((path) => this.#places.paths.has(path))) return;
    // The link may lead elsewhere now, or a directory exist that did not.
    const before = this.#places;
    this.#places = places();
    if (this.#places.directories.join() !== before.directories.join()) this.open();
    this.#onChange();
  }
}
