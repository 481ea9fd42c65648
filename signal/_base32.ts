/** Base32 in lower-case letters (RFC 4648 section 6) without padding: what ids and topics are written in. */

/** Bytes as text: eight letters for five bytes. */
export function toBase32(bytes: Uint8Array): string {
  let text = "";
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8 | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += LETTERS[value >> bits & 31];
    }
  }
  return bits === 0 ? text : text + LETTERS[value << (5 - bits) & 31];
}

/**
 * Text as bytes.
 *
 * @returns `null` where it is not what {@linkcode toBase32} writes: each value has one text.
 */
export function fromBase32(text: string): Uint8Array | null {
  const bytes = new Uint8Array(Math.floor(text.length * 5 / 8));
  let at = 0;
  let value = 0;
  let bits = 0;
  for (const letter of text) {
    const five = LETTERS.indexOf(letter);
    if (five < 0) return null;
    value = (value << 5 | five) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes[at++] = value >> (bits -= 8) & 255;
  }
  return toBase32(bytes) === text ? bytes : null;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
