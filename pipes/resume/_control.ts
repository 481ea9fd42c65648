/** What ABORT and ADDR carry. */

/** The most bytes of a reason. */
const MAX_REASON = 256;

/** The most bytes of a list of addresses. */
const MAX_ADDRESSES = 4096;

const encoder = new TextEncoder();

/**
 * The payload of ABORT.
 *
 * @param code 0 to 65,535.
 * @param reason Words; what is longer than 256 bytes is cut between two characters.
 */
export function encodeAbort(code: number, reason: string): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(2 + MAX_REASON);
  payload[0] = code >>> 8;
  payload[1] = code;
  return payload.subarray(0, 2 + encoder.encodeInto(reason, payload.subarray(2)).written);
}

/**
 * Reads the payload of ABORT.
 *
 * @param payload 2 bytes at least.
 */
export function decodeAbort(payload: Uint8Array): { readonly code: number; readonly reason: string } {
  const [high = 0, low = 0] = payload;
  return { code: high * 256 + low, reason: new TextDecoder().decode(payload.subarray(2)) };
}

/**
 * The payload of ADDR.
 *
 * @param urls 255 at most.
 * @throws {RangeError} If they do not fit.
 */
export function encodeAddresses(urls: readonly string[]): Uint8Array<ArrayBuffer> {
  const parts = urls.map((url) => encoder.encode(url));
  const size = parts.reduce((sum, { length }) => sum + 2 + length, 1);
  if (size > MAX_ADDRESSES || urls.length > 255) {
    throw new RangeError(
      `Cannot send addresses: 255 and ${MAX_ADDRESSES} bytes are the most, got ${urls.length} of ${size}`,
    );
  }
  const payload = new Uint8Array(size);
  payload[0] = urls.length;
  let at = 1;
  for (const part of parts) {
    payload[at] = part.length >>> 8;
    payload[at + 1] = part.length;
    payload.set(part, at + 2);
    at += 2 + part.length;
  }
  return payload;
}

/**
 * Reads the payload of ADDR.
 *
 * @returns The addresses, as they were sent; undefined if it is malformed.
 */
export function decodeAddresses(payload: Uint8Array): readonly string[] | undefined {
  const urls: string[] = [];
  let at = 1;
  for (let left = payload[0] ?? 0; left > 0; left--) {
    const end = at + 2 + (payload[at] ?? 0) * 256 + (payload[at + 1] ?? 0);
    if (end > payload.length || at + 2 > payload.length) return undefined;
    try {
      urls.push(
        new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload.subarray(at + 2, end)),
      );
    } catch {
      // What is no UTF-8 is no address.
      return undefined;
    }
    at = end;
  }
  return at === payload.length ? urls : undefined;
}
