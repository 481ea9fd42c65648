/**
 * The store that outlives a connection or a process: a small key-value interface, and one in memory. One in a file is on
 * `@holdfast/net/store/sqlite`.
 *
 * @module
 */

import { isSameValue, storeClosed } from "./store_shared.ts";

export { HoldfastError, type HoldfastErrorOptions } from "./errors.ts";

/**
 * Where something is kept. Keys are any strings, values bytes; a missing key is `undefined`.
 *
 * What is called one after the other happens in that order, also where nobody waits in between. Nothing expires by itself:
 * clocks jump, and who keeps something knows best when it is of no use any more. After disposal everything rejects with a
 * `HoldfastError` of code `"closed"`.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@holdfast/net/store";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = memoryStore();
 * await store.set("session/1", new Uint8Array([1]));
 * // Who holds an old version does not get through.
 * const old = new Uint8Array([0]);
 * assertEquals(await store.compareAndSet("session/1", old, new Uint8Array([2])), false);
 * for await (const [key, value] of store.list("session/")) assertEquals([key, value[0]], ["session/1", 1]);
 * ```
 */
export interface Store extends AsyncDisposable {
  /**
   * Reads a value.
   *
   * @param key Its key.
   * @returns A copy of the value, or `undefined` where there is none.
   */
  get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /**
   * Writes a value.
   *
   * @param key Its key.
   * @param value The value, which is copied at once.
   * @returns Resolves when it is kept, whatever happens then.
   */
  set(key: string, value: Uint8Array): Promise<void>;
  /**
   * Writes or removes a value if it is still the one that the caller knows, in one step that nobody gets between: of several
   * processes that try the same, one succeeds. By this a new owner of something fences off the old one.
   *
   * @param key Its key.
   * @param expected What must be there; `undefined`: nothing.
   * @param value What is to be there; `undefined`: nothing.
   * @returns Whether it was done.
   */
  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
  ): Promise<boolean>;
  /**
   * Removes a value; nothing happens when there is none.
   *
   * @param key Its key.
   */
  delete(key: string): Promise<void>;
  /**
   * Lists the entries whose keys begin with a prefix, in the order of their keys (by UTF-16 code unit): those that are there
   * when the iteration begins, with the values they have when it comes to them, without those that are gone by then.
   *
   * @param prefix How the keys begin; all of them for the empty string.
   */
  list(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array<ArrayBuffer>]>;
}

/**
 * A store that lives as long as the process.
 *
 * Values are copied on the way in and out, so that nobody changes what is kept by changing a buffer of his own.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@holdfast/net/store";
 * import { assertEquals } from "@std/assert";
 *
 * await using store = memoryStore();
 * await store.set("greeting", new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode(await store.get("greeting")), "hello");
 * ```
 */
export function memoryStore(): Store {
  const entries = new Map<string, Uint8Array<ArrayBuffer>>();
  let open = true;
  const whileOpen = <T>(action: () => T): Promise<T> => {
    try {
      if (!open) throw storeClosed();
      return Promise.resolve(action());
    } catch (error) {
      return Promise.reject(error);
    }
  };
  const put = (key: string, value: Uint8Array | undefined): void => {
    if (!value) return void entries.delete(key);
    // Not slice(): that of a Node Buffer shares its memory.
    entries.set(key, new Uint8Array(value));
  };
  return {
    get: (key) => whileOpen(() => entries.get(key)?.slice()),
    set: (key, value) => whileOpen(() => put(key, value)),
    delete: (key) => whileOpen(() => put(key, undefined)),
    compareAndSet: (key, expected, value) =>
      whileOpen(() => {
        if (!isSameValue(entries.get(key), expected)) return false;
        put(key, value);
        return true;
      }),
    async *list(prefix) {
      const keys = await whileOpen(() => [...entries.keys()].filter((key) => key.startsWith(prefix)).sort());
      for (const key of keys) {
        const value = await whileOpen(() => entries.get(key)?.slice());
        if (value) yield [key, value] as const;
      }
    },
    [Symbol.asyncDispose]() {
      open = false;
      entries.clear();
      return Promise.resolve();
    },
  };
}
