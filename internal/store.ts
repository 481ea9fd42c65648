/** The store that outlives a connection or a process: a small key-value interface, and one in memory. */

/** Where something is kept. Keys are strings, values bytes; a missing key is `undefined`. */
export interface Store extends AsyncDisposable {
  /** Reads a value. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Writes a value; resolved means kept. */
  set(key: string, value: Uint8Array): Promise<void>;
  /** Removes a value; nothing happens when there is none. */
  delete(key: string): Promise<void>;
  /** Lists the entries whose keys begin with a prefix, in the order of their keys (by UTF-16 code unit). */
  list(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>;
}

/**
 * A store that lives as long as the process.
 *
 * Values are copied on the way in and out, so that nobody changes what is kept by changing a buffer of his own.
 */
export function memoryStore(): Store {
  const entries = new Map<string, Uint8Array>();
  return {
    get: (key) => Promise.resolve(entries.get(key)?.slice()),
    set(key, value) {
      // Not slice(): that of a Node Buffer shares its memory.
      entries.set(key, new Uint8Array(value));
      return Promise.resolve();
    },
    delete(key) {
      entries.delete(key);
      return Promise.resolve();
    },
    async *list(prefix) {
      for (const key of [...entries.keys()].filter((key) => key.startsWith(prefix)).sort()) {
        const value = entries.get(key);
        if (value) yield [key, value.slice()] as const;
      }
    },
    [Symbol.asyncDispose]() {
      entries.clear();
      return Promise.resolve();
    },
  };
}
