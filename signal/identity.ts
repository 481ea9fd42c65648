/** Who a peer is: an Ed25519 key pair, whose public half is its name. */

import { KEY_LENGTH, randomBytes, signingPublicKey, signMessage } from "../internal/crypto.ts";
import { fromBase32, toBase32 } from "./_base32.ts";
import { agreementKeyOf } from "./_curve.ts";

/**
 * A peer's own key pair. Neither printing nor JSON shows the private half.
 *
 * @example
 * ```ts
 * import { formatIdentity, makeIdentity, parseIdentity } from "@holdfast/net/signal";
 * import { assertEquals, assertMatch } from "@std/assert";
 *
 * const identity = makeIdentity({ comment: "anna" });
 * assertMatch(identity.id, /^[a-z2-7]{52}$/);
 * assertEquals(parseIdentity(formatIdentity(identity)).id, identity.id);
 * assertEquals(JSON.stringify(identity).includes(identity.seed.toBase64()), false);
 * ```
 */
export class Identity {
  /** The peer's name: its public key in base32, 52 lower-case letters and digits. */
  readonly id: string;
  /** What its owner calls it. It is told to nobody. */
  readonly comment: string;
  readonly #seed: Uint8Array;
  readonly #publicKey: Uint8Array;

  /**
   * Makes an identity of its private key.
   *
   * @param seed The Ed25519 private key, 32 random bytes.
   * @param comment What its owner calls it.
   * @throws {TypeError} Where there are more or fewer bytes.
   */
  constructor(seed: Uint8Array, comment: string = "") {
    if (seed.length !== KEY_LENGTH) {
      throw new TypeError(
        `Cannot make an identity: its private key has ${KEY_LENGTH} bytes, not ${seed.length}`,
      );
    }
    this.#seed = Uint8Array.from(seed);
    this.#publicKey = signingPublicKey(seed);
    this.id = toBase32(this.#publicKey);
    this.comment = comment;
  }

  /** The private key, 32 bytes. */
  get seed(): Uint8Array {
    return this.#seed;
  }

  /** The public key, 32 bytes: the same as the id. */
  get publicKey(): Uint8Array {
    return this.#publicKey;
  }

  /**
   * Signs by Ed25519.
   *
   * @param message What is signed.
   * @returns The signature, 64 bytes.
   */
  sign(message: Uint8Array): Uint8Array {
    return signMessage(this.#seed, message);
  }
}

/** What a new {@linkcode Identity} is made with. */
export interface IdentityOptions {
  /**
   * What its owner calls it. It is told to nobody.
   *
   * @default {""}
   */
  readonly comment?: string | undefined;
}

/**
 * Makes an identity that nobody else has.
 *
 * @param options What its owner calls it.
 *
 * @example
 * ```ts
 * import { makeIdentity } from "@holdfast/net/signal";
 * import { assertNotEquals } from "@std/assert";
 *
 * assertNotEquals(makeIdentity().id, makeIdentity().id);
 * ```
 */
export function makeIdentity(options: IdentityOptions = {}): Identity {
  return new Identity(randomBytes(KEY_LENGTH), options.comment);
}

/**
 * The text of an identity, with its private key: for a file that only its owner can read.
 *
 * @param identity Whose.
 *
 * @example
 * ```ts
 * import { formatIdentity, Identity } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const identity = new Identity(new Uint8Array(32), "test");
 * assertEquals(formatIdentity(identity), `holdfast-identity ${"A".repeat(43)}= test\n`);
 * ```
 */
export function formatIdentity(identity: Identity): string {
  const comment = identity.comment.replace(/\p{Cc}+/gu, " ").trim();
  return `${[NAME, identity.seed.toBase64(), comment].filter((part) => part !== "").join(" ")}\n`;
}

/**
 * Reads what {@linkcode formatIdentity} wrote. Empty lines and lines that begin with `#` are skipped.
 *
 * @param text One identity. What it says is in no error.
 * @throws {SyntaxError} Where it is none.
 *
 * @example
 * ```ts
 * import { formatIdentity, makeIdentity, parseIdentity } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const identity = makeIdentity();
 * assertEquals(parseIdentity(`# mine\n${formatIdentity(identity)}`).id, identity.id);
 * ```
 */
export function parseIdentity(text: string): Identity {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
  if (lines.length !== 1) throw unreadable(`it has ${lines.length} lines that say something, not 1`);
  const [name, key, ...comment] = (lines[0] ?? "").split(/\s+/);
  if (name !== NAME) throw unreadable(`it does not begin with "${NAME}"`);
  return new Identity(seedOf(key ?? ""), comment.join(" "));
}

/**
 * Whether some text is the id of a peer: 52 letters and digits that are an Ed25519 public key.
 *
 * @param text What it may be.
 *
 * @example
 * ```ts
 * import { isPeerId, makeIdentity } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(isPeerId(makeIdentity().id), true);
 * assertEquals(isPeerId("bob"), false);
 * ```
 */
export function isPeerId(text: string): boolean {
  const key = text.length === ID_LENGTH ? fromBase32(text) : null;
  return key !== null && agreementKeyOf(key) !== null;
}

/** How many letters an id has. */
const ID_LENGTH = 52;

const NAME = "holdfast-identity";

function seedOf(text: string): Uint8Array {
  let seed: Uint8Array;
  try {
    seed = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    // The error of the runtime may show some of the text, which is a secret.
    throw unreadable("its key is not base64");
  }
  if (seed.length !== KEY_LENGTH) {
    throw unreadable(`its key has ${seed.length} bytes, not ${KEY_LENGTH}`);
  }
  return seed;
}

function unreadable(why: string): SyntaxError {
  return new SyntaxError(`Cannot read an identity: ${why}`);
}
