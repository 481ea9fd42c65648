/** Files that identities are kept in: only their owner may read them. */

import { createGuardedFile, readGuardedFile } from "../internal/guarded_file.ts";
import { formatIdentity, type Identity, parseIdentity } from "./identity.ts";

/**
 * Writes an identity into a new file that only its owner can read. Needs `--allow-write=PATH`.
 *
 * @param path Where to. A file that is there already is never overwritten.
 * @param identity The identity.
 * @throws {HoldfastError} With the code `identity-file` where it cannot be written.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { loadIdentity, makeIdentity, saveIdentity } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const identity = makeIdentity();
 * await saveIdentity(`${folder}/me.key`, identity);
 * assertEquals((await loadIdentity(`${folder}/me.key`)).id, identity.id);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function saveIdentity(path: string, identity: Identity): Promise<void> {
  await createGuardedFile(path, formatIdentity(identity), { ...FILE, mode: 0o600 });
}

/**
 * Reads an identity. Needs `--allow-read=PATH`.
 *
 * @param path The file. Nobody but its owner may have any right to it (`chmod 600`); Windows has no such rights.
 * @throws {HoldfastError} With the code `identity-file` where it cannot be read, others can, or it holds no identity. No
 * message shows anything of what it holds.
 * @throws {PermissionError} Where the runtime does not allow it.
 *
 * @example
 * ```ts
 * import { loadIdentity } from "@holdfast/net/signal";
 * import { HoldfastError } from "@holdfast/net/watch";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() => loadIdentity("/no/such/file"), HoldfastError, "there is no such file");
 * ```
 */
export async function loadIdentity(path: string): Promise<Identity> {
  return await readGuardedFile(path, { ...FILE, guard: "secret", parse: parseIdentity });
}

/** How such a file is called in errors. */
const FILE = { what: "the identity file", code: "identity-file" } as const;
