/**
 * A store in a file, by the SQLite that the runtime brings along. It is on an entry point of its own, so that nobody loads
 * SQLite who does not use it.
 *
 * @module
 */

import type { StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { type Clock, systemClock } from "./clock.ts";
import { StoreFile } from "./sqlite_file.ts";
import type { Store } from "./store.ts";
import { isSameValue, storeClosed } from "./store_shared.ts";

export type { Store } from "./store.ts";
export type { Clock, Timer } from "./clock.ts";
export { HoldfastError, type HoldfastErrorOptions, PermissionError } from "./errors.ts";

/** What {@linkcode sqliteStore} takes. */
export interface SqliteStoreOptions {
  /**
   * What is survived by what was written: the end of the process, however it ends; or also the loss of power, for which each
   * write waits for the disk. Writes that are begun together wait once.
   *
   * @default {"power"}
   */
  readonly durability?: "process" | "power";
  /**
   * For how many milliseconds another process that writes to the same file is waited for.
   *
   * @default {5000}
   */
  readonly lockTimeout?: number;
  /** Calls the opening off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/**
 * Opens a store in a file, or makes it, readable by its owner only. Several processes may have it open at once.
 *
 * Reading and writing is done by the runtime at once, and holds its event loop for as long as the disk takes. A key or a value
 * takes up to about a gigabyte, by SQLite's own limit.
 *
 * Needs `--allow-read` and `--allow-write` for the file's path.
 *
 * @param path The file. Beside it lie two of SQLite's own while it is open, with `-wal` and `-shm` behind their names.
 * @param options How safe, and for how long others are waited for.
 * @returns The store; its calls reject with a {@linkcode HoldfastError}: `store-busy` where another process did not let the
 * file go, `store-corrupt` where the file is damaged, `store-failed` for what else the system says.
 * @throws {HoldfastError} The same; and `store-foreign` where the file belongs to another program or to a newer version,
 * `store-exposed` where others may read it.
 * @throws {PermissionError} When the runtime does not allow the file.
 * @throws {TypeError} When the path is empty.
 *
 * @example
 * ```ts
 * import { sqliteStore } from "@holdfast/net/store/sqlite";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * {
 *   await using store = await sqliteStore(`${folder}/sessions.db`);
 *   await store.set("greeting", new TextEncoder().encode("hello"));
 * }
 * {
 *   await using store = await sqliteStore(`${folder}/sessions.db`);
 *   assertEquals(new TextDecoder().decode(await store.get("greeting")), "hello");
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function sqliteStore(path: string, options: SqliteStoreOptions = {}): Promise<Store> {
  const { durability = "power", lockTimeout = 5000, clock = systemClock, signal } = options;
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new TypeError(`Cannot open a store: the path of a file is needed, got ${JSON.stringify(path)}`);
  }
  if (durability !== "power" && durability !== "process") {
    throw new TypeError(`Cannot open a store: durability must be "power" or "process", got "${durability}"`);
  }
  if (!(lockTimeout >= 0)) {
    throw new RangeError(`Cannot open a store: lockTimeout must be a number from 0, got ${lockTimeout}`);
  }
  signal?.throwIfAborted();
  const file = new StoreFile(path, lockTimeout, clock);
  await file.open(durability, signal);
  return new SqliteStore(file);
}

/** What waits for its turn: a change, or a look at what is there. */
interface Step {
  readonly make: () => unknown;
  readonly done: PromiseWithResolvers<unknown>;
}

class SqliteStore implements Store {
  readonly #file: StoreFile;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #remove: StatementSync;
  readonly #from: StatementSync;
  readonly #between: StatementSync;
  #steps: Step[] = [];
  /** Settled when the last step is made; never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #making = false;
  #closing: Promise<void> | undefined;

  constructor(file: StoreFile) {
    this.#file = file;
    const { database } = file;
    this.#select = database.prepare("SELECT value FROM entries WHERE key = ?");
    this.#insert = database.prepare(
      "INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    this.#remove = database.prepare("DELETE FROM entries WHERE key = ?");
    this.#from = database.prepare("SELECT key FROM entries WHERE key >= ? ORDER BY key");
    this.#between = database.prepare("SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key");
  }

  async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = keyOf(key);
    return await this.#read(() => this.#valueOf(bytes));
  }

  async set(key: string, value: Uint8Array): Promise<void> {
    const [bytes, copy] = [keyOf(key), new Uint8Array(value)];
    await this.#change(() => this.#put(bytes, copy));
  }

  async delete(key: string): Promise<void> {
    const bytes = keyOf(key);
    await this.#change(() => this.#put(bytes, undefined));
  }

  async compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
  ): Promise<boolean> {
    const [bytes, old, copy] = [
      keyOf(key),
      expected && new Uint8Array(expected),
      value && new Uint8Array(value),
    ];
    return await this.#change(() => {
      if (!isSameValue(this.#valueOf(bytes), old)) return false;
      this.#put(bytes, copy);
      return true;
    });
  }

  async *list(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array<ArrayBuffer>]> {
    const [first, behind] = [keyOf(prefix), behindPrefix(prefix)];
    const rows = await this.#read(() =>
      behind === undefined ? this.#from.all(first) : this.#between.all(first, keyOf(behind))
    );
    for (const { key } of rows) {
      const bytes = key as Uint8Array<ArrayBuffer>;
      const value = await this.#read(() => this.#valueOf(bytes));
      if (value) yield [textOf(bytes), value] as const;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= (async () => {
      await this.#last;
      this.#file.close();
    })();
  }

  #valueOf(key: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
    return this.#select.get(key)?.value as Uint8Array<ArrayBuffer> | undefined;
  }

  #put(key: Uint8Array, value: Uint8Array | undefined): void {
    if (value) this.#insert.run(key, value);
    else this.#remove.run(key);
  }

  async #read<T>(action: () => T): Promise<T> {
    // Behind changes that are under way, and not beside them.
    if (this.#making || this.#closing) return await this.#change(action);
    return await this.#file.patiently("read from the store", action);
  }

  #change<T>(make: () => T): Promise<T> {
    if (this.#closing) return Promise.reject(storeClosed());
    const done = Promise.withResolvers<unknown>();
    this.#steps.push({ make, done });
    this.#last = done.promise.catch(() => {}); // told to its caller
    if (!this.#making) void this.#make();
    return done.promise as Promise<T>;
  }

  /** Makes the steps that wait, those that came together in one transaction. */
  async #make(): Promise<void> {
    this.#making = true;
    while (this.#steps.length > 0) {
      // All who are about to write in this turn of the event loop wait for the disk once.
      await new Promise<void>((resolve) => setImmediate(resolve));
      const steps = this.#steps;
      this.#steps = [];
      try {
        const make = (): readonly unknown[] => steps.map((step) => step.make());
        const results = await this.#file.patiently(
          "write to the store",
          () => this.#file.transaction(make),
        );
        for (const [n, { done }] of steps.entries()) done.resolve(results[n]);
      } catch (error) {
        for (const { done } of steps) done.reject(error);
      }
    }
    this.#making = false;
  }
}

function keyOf(text: string): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(2 * text.length));
  for (let n = 0; n < text.length; n++) view.setUint16(2 * n, text.charCodeAt(n));
  return new Uint8Array(view.buffer);
}

function textOf(key: Uint8Array): string {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  let text = "";
  for (let n = 0; n < key.length; n += 2) text += String.fromCharCode(view.getUint16(n));
  return text;
}

/** The first text behind all those with a prefix; `undefined` where there is none. */
function behindPrefix(prefix: string): string | undefined {
  const rest = prefix.replace(/\uffff+$/, "");
  if (rest === "") return undefined;
  return rest.slice(0, -1) + String.fromCharCode(rest.charCodeAt(rest.length - 1) + 1);
}
