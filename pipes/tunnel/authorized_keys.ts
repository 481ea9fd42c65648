/** Who is let into a tunnel, and to which targets: a file with a line for each. */

import { readPublicKeysFile } from "../resume/key_file.ts";
import type { PublicKey } from "../resume/key_text.ts";
import { parseTarget } from "./target.ts";
import type { TunnelRules } from "./tunnel_rules.ts";

/** A client that is let in. */
export interface AuthorizedKey {
  /** Its key; the comment is who it is. */
  readonly key: PublicKey;
  /** What it is allowed; `null` for what everybody is. */
  readonly rules: TunnelRules | null;
}

/**
 * Reads who is let in. Each line is a public key, which may be followed by what this client is allowed in place of what the
 * others are, and by who it is: `holdfast-public-key BASE64 to=127.0.0.1:22,db:5432 listen=:8080 anna at work`. `to=*` is any
 * public target, and the word `allow-private` makes that any target at all. Needs `--allow-read=PATH`.
 *
 * @param path The file, which nobody but its owner may change.
 * @throws {HoldfastError} With the code `key-file` where it cannot be used.
 * @throws {TypeError} Where a target makes no sense.
 *
 * @example
 * ```ts
 * import { readAuthorizedKeys } from "@holdfast/net/pipes/tunnel";
 * import { formatPublicKey, makeKeyPair } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * const line = formatPublicKey(makeKeyPair({ comment: "to=127.0.0.1:22 anna" }));
 * await Deno.writeTextFile(path, line);
 * await Deno.chmod(path, 0o644);
 * const [anna] = await readAuthorizedKeys(path);
 * assertEquals([anna?.key.comment, anna?.rules?.to], ["anna", ["127.0.0.1:22"]]);
 * await Deno.remove(path);
 * ```
 */
export async function readAuthorizedKeys(path: string): Promise<readonly AuthorizedKey[]> {
  return (await readPublicKeysFile(path)).map(authorized);
}

/** What stands before the name of who it is. */
function authorized(key: PublicKey): AuthorizedKey {
  const words = key.comment.split(/\s+/);
  const rules: { to?: readonly string[]; listen?: readonly string[]; allowPrivate?: boolean } = {};
  let word = words[0] ?? "";
  for (; /^(?:to=|listen=|allow-private$)/.test(word); words.shift(), word = words[0] ?? "") {
    const list = word.slice(word.indexOf("=") + 1).split(",");
    if (word.startsWith("to=")) rules.to = list.map((one) => one === "*" ? one : (parseTarget(one), one));
    else if (word.startsWith("listen=")) rules.listen = list.map((one) => (parseTarget(one, "listen"), one));
    else rules.allowPrivate = true;
  }
  // Nothing that was meant as a rule may become a part of the name.
  const unknown = words.find((one) => /^[a-z-]+=/.test(one));
  if (unknown !== undefined) {
    throw new TypeError(`Cannot read the key ${key.fingerprint}: "${unknown.split("=")[0]}=" is no rule`);
  }
  const named = { ...key, comment: words.join(" ") };
  return { key: named, rules: Object.keys(rules).length > 0 ? rules : null };
}
