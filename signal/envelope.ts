/**
 * The outside of packets: what brokers see.
 *
 * A packet has one of six lengths and 26 bytes that are not ciphertext: a version, a kind, a token that says something to
 * the receiver only, and 16 bytes that look random.
 */

/** The version of the protocol. */
export const VERSION = 1;

/** What a packet is. */
export const KIND = { init: 1, resp: 2, data: 3, notice: 4 } as const;

/** The name of a kind. */
export type PacketKind = keyof typeof KIND;

/** The lengths that packets have, in bytes: each is filled up to the next one. */
export const SIZE_CLASSES = [256, 512, 1024, 2048, 4096, 8192] as const;

/** One of the lengths that packets have. */
export type SizeClass = typeof SIZE_CLASSES[number];

/** How many bytes come before the ciphertext. */
export const HEADER_LENGTH = 26;

/** Where the token is. */
export const TOKEN_AT = 2;

/** Where the 16 bytes after the token are: a block or a proof. */
export const BLOCK_AT = 10;

/** How many bytes a token has. */
export const TOKEN_LENGTH = 8;

/** How many bytes of a packet are not its content: header, tag, and the length of the content. */
export const OVERHEAD: number = HEADER_LENGTH + 16 + 2;

/** How many bytes the content of a packet may have. */
export const MAX_CONTENT: number = 8192 - OVERHEAD;

/** What a broker could read of a packet. */
export interface PacketHeader {
  /** What it is. */
  readonly kind: PacketKind;
  /** The token, in hexadecimal. */
  readonly token: string;
}

/**
 * Reads what is in the open.
 *
 * @param packet Bytes from a broker.
 * @returns Why it is no packet, where it is none.
 */
export function readPacket(packet: Uint8Array): PacketHeader | "size" | "version" | "kind" {
  if (!(SIZE_CLASSES as readonly number[]).includes(packet.length)) return "size";
  if (packet[0] !== VERSION) return "version";
  const kind = KINDS[packet[1] ?? 0];
  if (kind === undefined || (packet.length > 256 && (kind === "init" || kind === "resp"))) return "kind";
  return { kind, token: packet.subarray(TOKEN_AT, BLOCK_AT).toHex() };
}

/** The first ten bytes of a packet. */
export function packetStart(kind: PacketKind, token: Uint8Array): Uint8Array {
  return Uint8Array.of(VERSION, KIND[kind], ...token);
}

/**
 * The smallest size that holds some content.
 *
 * @param length Bytes.
 * @param least The smallest that is wanted.
 * @throws {RangeError} Where there is none.
 */
export function sizeClassFor(length: number, least: SizeClass = 256): SizeClass {
  const size = SIZE_CLASSES.find((size) => size >= least && size - OVERHEAD >= length);
  if (size === undefined) {
    throw new RangeError(`Cannot seal a packet: ${length} bytes are more than ${MAX_CONTENT}`);
  }
  return size;
}

/** Content with its length before it, filled up with zeros to a packet of some size. */
export function pad(content: Uint8Array, size: SizeClass): Uint8Array {
  const padded = new Uint8Array(size - OVERHEAD + 2);
  new DataView(padded.buffer).setUint16(0, content.length);
  padded.set(content, 2);
  return padded;
}

/** Content out of what {@linkcode pad} gave, or `null` where it is something else. */
export function unpad(padded: Uint8Array): Uint8Array | null {
  const length = (padded[0] ?? 0) << 8 | (padded[1] ?? 0);
  if (padded.length < 2 + length) return null;
  return padded.subarray(2 + length).some((byte) => byte !== 0) ? null : padded.slice(2, 2 + length);
}

const KINDS: readonly (PacketKind | undefined)[] = [undefined, "init", "resp", "data", "notice"];
