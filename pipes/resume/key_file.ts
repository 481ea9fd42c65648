/** Files that keys are kept in: only their owner may read a secret, only he may change who is let in. */

import { createGuardedFile, readGuardedFile } from "../../internal/guarded_file.ts";
import {
  formatKey,
  formatPublicKey,
  type KeyPair,
  parseKey,
  parsePublicKeys,
  type PublicKey,
  type SharedKey,
} from "./key_text.ts";

/**
 * Writes a key into a new file that only its owner can read. Needs `--allow-write=PATH`.
 *
 * @param path Where to. A file that is there already is never overwritten.
 * @param key The key.
 * @throws {HoldfastError} With the code `key-file` where it cannot be written.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { makeSharedKey, readKeyFile, writeKeyFile } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const key = makeSharedKey({ comment: "tunnel" });
 * await writeKeyFile(`${folder}/tunnel.key`, key);
 * assertEquals((await readKeyFile(`${folder}/tunnel.key`)).fingerprint, key.fingerprint);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeKeyFile(path: string, key: SharedKey | KeyPair): Promise<void> {
  await createGuardedFile(path, formatKey(key), { ...FILE, mode: 0o600 });
}

/**
 * Writes a list of public keys into a new file. Needs `--allow-write=PATH`.
 *
 * @param path Where to. A file that is there already is never overwritten.
 * @param keys The keys; of a pair only the public half is written.
 * @throws {HoldfastError} With the code `key-file` where it cannot be written.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { makeKeyPair, writePublicKeysFile } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await writePublicKeysFile(`${folder}/authorized`, [makeKeyPair({ comment: "anna" })]);
 * assertEquals((await Deno.readTextFile(`${folder}/authorized`)).includes(" anna"), true);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writePublicKeysFile(path: string, keys: readonly PublicKey[]): Promise<void> {
  await createGuardedFile(path, keys.map(formatPublicKey).join(""), { ...FILE, mode: 0o644 });
}

/**
 * Reads a shared key or a key pair. Needs `--allow-read=PATH`.
 *
 * @param path The file. Nobody but its owner may have any right to it (`chmod 600`); Windows has no such rights.
 * @throws {HoldfastError} With the code `key-file` where it cannot be read, others can, or it holds no key. No message
 * shows anything of what it holds.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { makeKeyPair, readKeyFile, writeKeyFile } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await writeKeyFile(`${folder}/me.key`, makeKeyPair());
 * assertEquals((await readKeyFile(`${folder}/me.key`)).type, "pair");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readKeyFile(path: string): Promise<SharedKey | KeyPair> {
  return await readGuardedFile(path, { ...FILE, guard: "secret", parse: parseKey });
}

/**
 * Reads a list of public keys, a line for each: who is let in, or which servers are known. Needs `--allow-read=PATH`.
 *
 * @param path The file. Nobody but its owner may change it (`chmod 644`); Windows has no such rights.
 * @throws {HoldfastError} With the code `key-file` where it cannot be read, others can change it, or a line is no key.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { makeKeyPair, readPublicKeysFile, writePublicKeysFile } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const pair = makeKeyPair({ comment: "anna" });
 * await writePublicKeysFile(`${folder}/authorized`, [pair]);
 * const [anna] = await readPublicKeysFile(`${folder}/authorized`);
 * assertEquals(anna?.fingerprint, pair.fingerprint);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readPublicKeysFile(path: string): Promise<readonly PublicKey[]> {
  return await readGuardedFile(path, { ...FILE, guard: "unchanged", parse: parsePublicKeys });
}

/** How such a file is called in errors. */
const FILE = { what: "the key file", code: "key-file" } as const;
