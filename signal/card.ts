/** Contact cards: who somebody is, and at which brokers he is reached, in one line that he has signed. */

import { ascii, concat, verifyMessage } from "../internal/crypto.ts";
import { fromBase32 } from "./_base32.ts";
import { type Identity, isPeerId } from "./identity.ts";

/** A contact card. */
export interface ContactCard {
  /** The peer's id. */
  readonly id: string;
  /** Addresses of the brokers where it receives, best first: 1 to 8. */
  readonly brokers: readonly string[];
  /** Counts the cards of one peer: a higher one takes the place of a lower one. */
  readonly serial: number;
}

/** What a card of one's own is made of. */
export interface FormatCardOptions {
  /** Addresses of the brokers where one receives, best first: 1 to 8 of `mqtt:`, `mqtts:`, `ws:` and `wss:`, in ASCII. */
  readonly brokers: readonly string[];
  /**
   * Counts the cards of one peer: a higher one takes the place of a lower one.
   *
   * @default {0}
   */
  readonly serial?: number | undefined;
}

/**
 * Writes and signs one's own card.
 *
 * @param identity Whose.
 * @param options The brokers.
 * @returns A URI, `holdfast:` and the id, the brokers and the signature.
 * @throws {TypeError} Where an address is not one of a broker, or tells a login.
 * @throws {RangeError} Where there are no brokers or too many, or the card would be too long.
 *
 * @example
 * ```ts
 * import { formatCard, makeIdentity, parseCard } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const bob = makeIdentity();
 * const card = parseCard(formatCard(bob, { brokers: ["mqtts://a.example"] }));
 * assertEquals(card, { id: bob.id, brokers: ["mqtts://a.example"], serial: 0 });
 * ```
 */
export function formatCard(identity: Identity, options: FormatCardOptions): string {
  const { brokers, serial = 0 } = options;
  if (brokers.length < 1 || brokers.length > MAX_BROKERS) {
    throw new RangeError(
      `Cannot make a card: it names 1 to ${MAX_BROKERS} brokers, not ${brokers.length}`,
    );
  }
  if (!isSerial(serial)) throw new RangeError(`Cannot make a card: its serial is ${serial}`);
  for (const broker of brokers) {
    const why = refusal(broker);
    if (why) throw new TypeError(`Cannot make a card: ${why}`);
  }
  const lines = brokers.map((broker) => `b=${encodeURIComponent(broker)}`);
  const text = `${SCHEME}${identity.id}?${[...lines, `n=${serial}`].join("&")}`;
  const card = `${text}&s=${identity.sign(signed(text)).toBase64(BASE64URL)}`;
  if (card.length > MAX_CARD) {
    throw new RangeError(
      `Cannot make a card: it has ${card.length} characters, at most ${MAX_CARD} are read`,
    );
  }
  return card;
}

/**
 * Reads a card, and checks that it was signed by who it is about.
 *
 * @param text What {@linkcode formatCard} wrote.
 * @throws {SyntaxError} Where it is no card, or was changed.
 *
 * @example
 * ```ts
 * import { parseCard } from "@holdfast/net/signal";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => parseCard("holdfast:bob"), SyntaxError, "Cannot read a card");
 * ```
 */
export function parseCard(text: string): ContactCard {
  const trimmed = text.slice(0, MAX_CARD + 2).trim();
  if (trimmed.length > MAX_CARD) throw unreadable(`it has more than ${MAX_CARD} characters`);
  const match = CARD.exec(trimmed);
  if (match === null) {
    throw unreadable(`it is not "${SCHEME}", an id, brokers, a serial and a signature`);
  }
  const [, said = "", id = "", list = "", serial = "", signature = ""] = match;
  if (!isPeerId(id)) throw unreadable("its id is not one");
  const brokers = list.split("&").map((part) => decoded(part.slice(2)));
  if (brokers.length > MAX_BROKERS) throw unreadable(`it names more than ${MAX_BROKERS} brokers`);
  for (const broker of brokers) {
    const why = refusal(broker);
    if (why) throw unreadable(why);
  }
  if (!isSerial(Number(serial))) throw unreadable(`its serial is ${serial}`);
  const isSigned = verifyMessage(fromBase32(id) ?? new Uint8Array(), signed(said), signatureOf(signature));
  if (!isSigned) throw unreadable("its signature does not fit, so it was changed");
  return { id, brokers, serial: Number(serial) };
}

const SCHEME = "holdfast:";

const CARD =
  /^(holdfast:([a-z2-7]{52})\?(b=[^&?#\s]+(?:&b=[^&?#\s]+)*)&n=(0|[1-9][0-9]{0,15}))&s=([A-Za-z0-9_-]{86})$/;

const BASE64URL = { alphabet: "base64url", omitPadding: true } as const;

/** A card fits into a message, a QR code, or a line that is pasted. */
const MAX_CARD = 2048;

const MAX_BROKERS = 8;

const PROTOCOLS: readonly string[] = ["mqtt:", "mqtts:", "ws:", "wss:"];

/** What is wrong with the address of a broker. */
function refusal(broker: string): string | undefined {
  // URLs are parsed with spaces and line ends around and within them, which have no place in a card.
  const url = /^[!-~]{1,255}$/.test(broker) ? URL.parse(broker) : null;
  if (url === null || !PROTOCOLS.includes(url.protocol) || url.hostname === "") {
    return `${JSON.stringify(broker)} is not the address of a broker`;
  }
  // Whoever has the card would have the login.
  if (url.username !== "" || url.password !== "") {
    return `the address of the broker at ${JSON.stringify(url.hostname)} tells a login`;
  }
  if (url.hash !== "" || broker.length > 255) {
    return `${JSON.stringify(broker)} is not the address of a broker`;
  }
  return undefined;
}

function isSerial(serial: number): boolean {
  return Number.isSafeInteger(serial) && serial >= 0;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable("the address of a broker is not percent-encoded");
  }
}

function signatureOf(text: string): Uint8Array {
  try {
    // Strict wants the padding that the card leaves out.
    return Uint8Array.fromBase64(`${text}==`, { alphabet: "base64url", lastChunkHandling: "strict" });
  } catch {
    // Its last letter has bits that belong to no byte.
    throw unreadable("its signature is not base64url");
  }
}

function signed(text: string): Uint8Array {
  return concat(ascii("holdfast signal 1 card"), ascii(text));
}

function unreadable(why: string): SyntaxError {
  return new SyntaxError(`Cannot read a card: ${why}`);
}
