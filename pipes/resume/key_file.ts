/** Files that keys are kept in: only their owner may read a secret, only he may change who is let in. */

import { HoldfastError, isNotCapable, PermissionError } from "../../internal/errors.ts";
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
  await create(path, formatKey(key), 0o600);
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
  await create(path, keys.map(formatPublicKey).join(""), 0o644);
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
  return await read(path, { forbidden: 0o077, others: "read or change", chmod: "600", parse: parseKey });
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
  return await read(path, { forbidden: 0o022, others: "change", chmod: "644", parse: parsePublicKeys });
}

/** More than this is no key file: 10,000 keys with comments. */
const MAX_BYTES = 1024 * 1024;

interface ReadOptions<T> {
  /** Rights that nobody but the owner may have. */
  readonly forbidden: number;
  /** What these allow. */
  readonly others: string;
  /** What to do about it. */
  readonly chmod: string;
  readonly parse: (text: string) => T;
}

async function read<T>(path: string, options: ReadOptions<T>): Promise<T> {
  const operation = `read the key file ${JSON.stringify(path)}`;
  try {
    using file = await Deno.open(path);
    const { mode, isFile } = await file.stat();
    if (!isFile) throw failed(operation, "it is not a file");
    // The rights of the file that is open, not of what has its name by now.
    if (mode !== null && (mode & options.forbidden) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(3, "0");
      const why =
        `others can ${options.others} it (its mode is ${rights}), run: chmod ${options.chmod} ${path}`;
      throw failed(operation, why, { hint: `Run: chmod ${options.chmod} ${path}` });
    }
    return parsed(operation, await text(operation, file), options.parse);
  } catch (error) {
    throw asFailure(operation, error, `--allow-read=${path}`, "file");
  }
}

async function text(operation: string, file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  for (let n = await file.read(bytes); n !== null; n = await file.read(bytes.subarray(length))) {
    length += n;
    if (length > MAX_BYTES) throw failed(operation, `it has more than ${MAX_BYTES} bytes`);
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

function parsed<T>(operation: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failed(operation, error.message.replace(/^Cannot read a key: /, ""), { cause: error });
  }
}

async function create(path: string, text: string, mode: number): Promise<void> {
  const operation = `write the key file ${JSON.stringify(path)}`;
  try {
    await Deno.writeFile(path, new TextEncoder().encode(text), { createNew: true, mode });
  } catch (error) {
    throw asFailure(operation, error, `--allow-write=${path}`, "folder");
  }
}

function asFailure(operation: string, error: unknown, flag: string, missing: "file" | "folder"): unknown {
  if (isNotCapable(error)) return new PermissionError(operation, [flag], error);
  if (error instanceof Deno.errors.NotFound) {
    return failed(operation, `there is no such ${missing}`, { cause: error });
  }
  if (error instanceof Deno.errors.AlreadyExists) {
    return failed(operation, "it is there already and would be lost", { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return failed(operation, "the system does not allow it", { cause: error });
  }
  return error;
}

function failed(
  operation: string,
  why: string,
  options: { readonly cause?: unknown; readonly hint?: string } = {},
): HoldfastError {
  return new HoldfastError(`Cannot ${operation}: ${why}`, { code: "key-file", operation, ...options });
}
