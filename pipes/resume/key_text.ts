/** The keys of sealed sessions, and the text that they are kept in. */

import { ascii, KEY_LENGTH, randomBytes, sha256, signingPublicKey } from "./_keys.ts";

/**
 * A key that both ends know. Its bytes are in no message, and neither printing nor JSON shows them.
 *
 * @example
 * ```ts
 * import { formatKey, makeSharedKey, parseKey } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const key = makeSharedKey({ comment: "office" });
 * assertEquals(parseKey(formatKey(key)).fingerprint, key.fingerprint);
 * assertEquals(JSON.stringify(key).includes(key.bytes.toBase64()), false);
 * ```
 */
export class SharedKey {
  /** Tells it from a {@linkcode KeyPair}. */
  readonly type = "shared";
  /** What its owner calls it. */
  readonly comment: string;
  /** Names the key without telling it: `SHA256:` and 43 characters. */
  readonly fingerprint: string;
  readonly #bytes: Uint8Array;

  /**
   * Makes a key of its bytes.
   *
   * @param bytes 32 random bytes.
   * @param comment What its owner calls it.
   * @throws {TypeError} Where there are more or fewer.
   */
  constructor(bytes: Uint8Array, comment: string = "") {
    checkLength("a shared key", bytes);
    this.#bytes = Uint8Array.from(bytes);
    this.comment = comment;
    this.fingerprint = fingerprintOf(SHARED, bytes);
  }

  /** The secret, 32 bytes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }
}

/**
 * An Ed25519 key pair: who an end is. The private half is in no message, and neither printing nor JSON shows it.
 *
 * @example
 * ```ts
 * import { formatPublicKey, makeKeyPair, parsePublicKeys } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const pair = makeKeyPair({ comment: "anna at work" });
 * const [known] = parsePublicKeys(formatPublicKey(pair));
 * assertEquals(known?.comment, "anna at work");
 * assertEquals(known?.fingerprint, pair.fingerprint);
 * ```
 */
export class KeyPair {
  /** Tells it from a {@linkcode SharedKey}. */
  readonly type = "pair";
  /** The public half, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** What its owner calls it. */
  readonly comment: string;
  /** Names the public half: `SHA256:` and 43 characters. */
  readonly fingerprint: string;
  readonly #seed: Uint8Array;

  /**
   * Makes a pair of its private half.
   *
   * @param seed 32 random bytes.
   * @param comment What its owner calls it.
   * @throws {TypeError} Where there are more or fewer.
   */
  constructor(seed: Uint8Array, comment: string = "") {
    checkLength("a private key", seed);
    this.#seed = Uint8Array.from(seed);
    this.publicKey = signingPublicKey(this.#seed);
    this.comment = comment;
    this.fingerprint = fingerprintOf(PUBLIC, this.publicKey);
  }

  /** The private half, 32 bytes. */
  get seed(): Uint8Array {
    return this.#seed;
  }
}

/** Somebody's public key. */
export interface PublicKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** What its owner calls it, or who put it into a list. */
  readonly comment: string;
  /** Names the key: `SHA256:` and 43 characters. */
  readonly fingerprint: string;
}

/** What a new key is given. */
export interface MakeKeyOptions {
  /** What its owner calls it: one line. @default {""} */
  readonly comment?: string | undefined;
}

/**
 * Makes a new key for both ends.
 *
 * @example
 * ```ts
 * import { makeSharedKey } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(makeSharedKey({ comment: "office" }).comment, "office");
 * ```
 */
export function makeSharedKey(options: MakeKeyOptions = {}): SharedKey {
  return new SharedKey(randomBytes(KEY_LENGTH), options.comment);
}

/**
 * Makes a new key pair for one end.
 *
 * @example
 * ```ts
 * import { makeKeyPair } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(makeKeyPair().publicKey.length, 32);
 * ```
 */
export function makeKeyPair(options: MakeKeyOptions = {}): KeyPair {
  return new KeyPair(randomBytes(KEY_LENGTH), options.comment);
}

/**
 * Writes a key as text: a word that says what it is, the secret in base64, and the comment, in one line.
 *
 * @param key The key; for the public half of a pair see {@linkcode formatPublicKey}.
 * @throws {TypeError} Where the comment has more than one line.
 *
 * @example
 * ```ts
 * import { formatKey, makeSharedKey } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatKey(makeSharedKey({ comment: "office" })).split(" ").length, 3);
 * ```
 */
export function formatKey(key: SharedKey | KeyPair): string {
  return key.type === "shared"
    ? formatLine(SHARED, key.bytes, key.comment)
    : formatLine(PRIVATE, key.seed, key.comment);
}

/**
 * Writes a public key as a line of a list.
 *
 * @param key A pair, of which only the public half is written, or somebody's public key.
 * @throws {TypeError} Where the comment has more than one line.
 *
 * @example
 * ```ts
 * import { formatPublicKey, makeKeyPair } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(formatPublicKey(makeKeyPair()).startsWith("holdfast-public-key "), true);
 * ```
 */
export function formatPublicKey(key: PublicKey): string {
  return formatLine(PUBLIC, key.publicKey, key.comment);
}

/**
 * Reads a key out of text, for example of a file or of an environment variable.
 *
 * @param text One key; empty lines, and lines that begin with `#`, are passed over.
 * @throws {SyntaxError} Where it is none. The message has the number of the line, never what it holds.
 *
 * @example
 * ```ts
 * import { parseKey } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const key = parseKey("holdfast-shared-key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= office");
 * assertEquals([key.type, key.comment], ["shared", "office"]);
 * ```
 */
export function parseKey(text: string): SharedKey | KeyPair {
  const [line, second] = lines(text);
  if (!line) throw new SyntaxError("Cannot read a key: there is none");
  if (second) throw wrong(second, "there is a second key");
  const { word, key, comment } = split(line);
  switch (word) {
    case SHARED:
      return new SharedKey(decode(line, key), comment);
    case PRIVATE:
      return new KeyPair(decode(line, key), comment);
    case PUBLIC:
      throw wrong(line, "it is a public key, a shared or private one belongs here");
    default:
      throw wrong(line, `it does not begin with ${SHARED} or ${PRIVATE}`);
  }
}

/**
 * Reads a list of public keys: who is let in, or which servers are known.
 *
 * @param text A key per line; empty lines, and lines that begin with `#`, are passed over.
 * @throws {SyntaxError} Where a line is none. The message has its number, never what it holds.
 *
 * @example
 * ```ts
 * import { parsePublicKeys } from "@holdfast/net/pipes/resume";
 * import { assertEquals } from "@std/assert";
 *
 * const keys = parsePublicKeys("# who is let in\nholdfast-public-key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= anna");
 * assertEquals(keys.map((key) => key.comment), ["anna"]);
 * ```
 */
export function parsePublicKeys(text: string): readonly PublicKey[] {
  return lines(text).map((line) => {
    const { word, key, comment } = split(line);
    if (word === PRIVATE || word === SHARED) {
      throw wrong(line, "it is a secret key, which belongs into no list; make a new one");
    }
    if (word !== PUBLIC) throw wrong(line, `it does not begin with ${PUBLIC}`);
    const publicKey = decode(line, key);
    return { publicKey, comment, fingerprint: fingerprintOf(PUBLIC, publicKey) };
  });
}

const SHARED = "holdfast-shared-key";
const PRIVATE = "holdfast-private-key";
const PUBLIC = "holdfast-public-key";

interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

/** Lines that say something. */
function lines(text: string): readonly Line[] {
  return text.split("\n")
    .map((line, n) => ({ number: n + 1, text: line.trim() }))
    .filter((line) => line.text !== "" && !line.text.startsWith("#"));
}

function split({ text }: Line): { readonly word: string; readonly key: string; readonly comment: string } {
  const [, word = "", key = "", comment = ""] = /^(\S+)\s*(\S*)\s*(.*)$/.exec(text) ?? [];
  return { word, key, comment };
}

function decode(line: Line, base64: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
  } catch {
    // The runtime's own message would not tell more, and might show what is there.
    throw wrong(line, "what follows the first word is not base64");
  }
  if (bytes.length !== KEY_LENGTH) throw wrong(line, `the key has ${bytes.length} bytes, not ${KEY_LENGTH}`);
  return bytes;
}

function wrong(line: Line, why: string): SyntaxError {
  return new SyntaxError(`Cannot read a key: line ${line.number}: ${why}`);
}

function formatLine(word: string, bytes: Uint8Array, comment: string): string {
  const name = comment.trim();
  // A comment must not become another line, nor move the cursor of who prints the file.
  if (/\p{Cc}/u.test(name)) {
    throw new TypeError(`Cannot write a key with the comment ${JSON.stringify(name)}: it must be one line`);
  }
  return `${word} ${bytes.toBase64()}${name === "" ? "" : ` ${name}`}\n`;
}

/** The word goes in, so that no shared key has the fingerprint of a public one. */
function fingerprintOf(word: string, bytes: Uint8Array): string {
  return `SHA256:${sha256(ascii(word), bytes).toBase64({ omitPadding: true })}`;
}

function checkLength(what: string, bytes: Uint8Array): void {
  if (bytes.length !== KEY_LENGTH) {
    throw new TypeError(`Cannot make ${what} of ${bytes.length} bytes: it has ${KEY_LENGTH}`);
  }
}
