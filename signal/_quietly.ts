/** Loading of libraries that look at the environment, without the permission for that. */

import process from "node:process";

/** What the libraries ask the environment for while they are loaded: debugging, other streams, faster parts in native code. */
const HIDDEN: PropertyDescriptorMap = {
  DEBUG: { value: undefined },
  READABLE_STREAM: { value: undefined },
  WS_NO_BUFFER_UTIL: { value: "1" },
  WS_NO_UTF_8_VALIDATE: { value: "1" },
};

/**
 * Loads something that looks at the environment meanwhile, which would need a permission.
 *
 * So for this time the names that it asks for are set to what it is to find, and listing the names gives none; all other
 * variables are as they are, whoever reads them. Loads are one after the other, as each puts back what it found.
 *
 * @param load Imports it.
 */
export function quietly<T>(load: () => Promise<T>): Promise<T> {
  const loaded = before.then(async () => {
    const { env } = process;
    process.env = Object.create(env, HIDDEN);
    try {
      return await load();
    } finally {
      process.env = env;
    }
  });
  before = loaded.catch(() => {});
  return loaded;
}

let before: Promise<unknown> = Promise.resolve();
