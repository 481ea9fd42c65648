/** `holdfast signal identity FILE`. */

import { HoldfastError } from "../internal/errors.ts";
import type { Identity } from "../signal/identity.ts";
import { makeIdentity } from "../signal/identity.ts";
import { loadIdentity, saveIdentity } from "../signal/identity_file.ts";
import { EXIT } from "./failure.ts";
import type { Context, Line } from "./spec.ts";

/** Whose identity a file holds; a line of `--json`. */
export interface IdentityLine extends Line {
  /** The tag. */
  readonly type: "identity";
  /** The id, which others write to. */
  readonly id: string;
  /** The file with the secret. */
  readonly file: string;
  /** Whether it was made just now. */
  readonly made: boolean;
}

/**
 * Makes an identity where there is none, and prints its id.
 *
 * @param file Where it is; never written over.
 * @param context Where to tell of it.
 */
export async function makeOrShowIdentity(file: string, { json, emit, print }: Context): Promise<number> {
  const made = !await isThere(file);
  if (made) await saveIdentity(file, makeIdentity());
  // What is there now must be of use, and to nobody else.
  const { id }: Identity = await loadIdentity(file);
  if (json) await emit<IdentityLine>({ type: "identity", id, file, made });
  else await print(id);
  return EXIT.fine;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await Deno.lstat(file);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (!(error instanceof Deno.errors.NotADirectory)) throw error;
    throw new HoldfastError(`Cannot make an identity: "${file}" lies in what is no folder`, {
      code: "identity-file",
      operation: "make an identity",
      cause: error,
    });
  }
}
