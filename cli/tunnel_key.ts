/** `holdfast tunnel key FILE`. */

import { readKeyFile, writeKeyFile, writePublicKeysFile } from "../pipes/resume/key_file.ts";
import { formatPublicKey, makeKeyPair, makeSharedKey } from "../pipes/resume/key_text.ts";
import { EXIT } from "./failure.ts";
import type { Context, Line } from "./spec.ts";
import { given } from "./values.ts";

/** A key that was made; a line of `--json`. */
export interface KeyLine extends Line {
  /** The tag. */
  readonly type: "key";
  /** Whether both ends have the same, or each its own. */
  readonly kind: "shared" | "pair";
  /** The file with the secret. */
  readonly file: string;
  /** Names the key without telling it. */
  readonly fingerprint: string;
  /** The public half as the other end needs it, or `null` where there is none. */
  readonly publicKey: string | null;
}

/**
 * Makes a key.
 *
 * @param file Where to; never over a file that is there.
 * @param context What was typed, and where to tell of it.
 */
export async function makeKey(file: string, { values, json, emit, print }: Context): Promise<number> {
  const comment = given({ comment: values.text("comment") });
  const key = values.flag("pair") ? makeKeyPair(comment) : makeSharedKey(comment);
  await writeKeyFile(file, key);
  // What is there now must be of use, and to nobody else.
  const { fingerprint } = await readKeyFile(file);
  const publicKey = key.type === "pair" ? formatPublicKey(key).trimEnd() : null;
  if (key.type === "pair") await writePublicKeysFile(`${file}.pub`, [key]);
  if (json) await emit<KeyLine>({ type: "key", kind: key.type, file, fingerprint, publicKey });
  else if (publicKey === null) {
    await print(`${fingerprint}\n${file}: the same file belongs to both ends, and to nobody else`);
  } else {
    await print(
      `${fingerprint}\n${publicKey}\n${file}: belongs to this end only; the other one needs ${file}.pub`,
    );
  }
  return EXIT.fine;
}
