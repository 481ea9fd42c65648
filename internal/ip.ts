/** IP addresses as bytes and as text: one strict reader, one canonical writer. */

/**
 * Writes an address in its canonical form: dotted decimal for IPv4, RFC 5952 for IPv6.
 *
 * @param bytes The address in network order, 4 or 16 bytes.
 * @returns The text; an IPv4-mapped IPv6 address ends in dotted decimal (RFC 5952 section 5).
 * @throws {RangeError} For any other length.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) {
    throw new RangeError(`Cannot format an IP address: it must be 4 or 16 bytes, got ${bytes.length}`);
  }
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i));
  const [start, length] = longestZeros(groups);
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/**
 * Reads an address strictly: four decimal numbers without leading zeros, or RFC 4291 text (no zone, no brackets).
 *
 * @param text The text; anything may be in it.
 * @returns 4 or 16 bytes, or `null` for what is not an address.
 */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/** Whether an address can belong to one host: not unspecified, multicast or broadcast. */
export function isUnicast(bytes: Uint8Array): boolean {
  if (bytes.length === 16) return bytes[0] !== 0xff && bytes.some((byte) => byte !== 0);
  const first = bytes[0] ?? 0;
  // RFC 1122 section 3.2.1.3: 0/8 is "this network", 224/4 is multicast. 240/4 is reserved, yet used inside some networks.
  return first !== 0 && (first < 224 || first >= 240) && bytes.some((byte) => byte !== 255);
}

/** Whether an address never leaves the machine: 127/8 or ::1, also when IPv4-mapped. */
export function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  if (isMapped(bytes)) return bytes[12] === 127;
  return bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

/** The network part of an address: its first bits, the others zero. */
export function networkOf(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - 8 * i))));
}

/** Whether two addresses are of one family, and the same in so many of their first bits. */
export function sharePrefix(a: Uint8Array, b: Uint8Array, prefix: number): boolean {
  const network = networkOf(b, prefix);
  return a.length === b.length && networkOf(a, prefix).every((byte, i) => byte === network[i]);
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** The first of the longest runs of zero groups, as start and length. */
function longestZeros(groups: readonly number[]): readonly [number, number] {
  let best: readonly [number, number] = [0, 0];
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best[1]) best = [i - length + 1, length];
  }
  return best;
}

function hex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(":");
}

function parseV4(text: string): Uint8Array | null {
  const parts = text.split(".");
  // A leading zero means octal to some readers and decimal to others, so it is refused.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return null;
  }
  return Uint8Array.from(parts, Number);
}

function parseV6(text: string): Uint8Array | null {
  const halves = text.split("::");
  const [head, tail] = halves.map(parseGroups);
  if (halves.length > 2 || !head || tail === null) return null;
  const missing = 16 - head.length - (tail?.length ?? 0);
  // "::" stands for one group of zeros or more (RFC 4291 section 2.2); without it nothing may be missing.
  if (tail === undefined ? missing !== 0 : missing < 2) return null;
  // Dotted decimal can only be the end of the whole address.
  if (tail !== undefined && halves[0]?.includes(".")) return null;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])]);
}

/** The bytes of groups with colons between them, the last of which may be dotted decimal. */
function parseGroups(text: string): number[] | null {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    const v4 = i === groups.length - 1 ? parseV4(group) : null;
    if (v4) bytes.push(...v4);
    else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return null;
  }
  return bytes;
}
