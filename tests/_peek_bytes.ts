/** First bytes of connections, made by hand: ClientHellos in any number of records, PROXY headers. */

/** Text as bytes, one per character. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Bytes with their count in front of them, big-endian. */
export function counted(size: 1 | 2 | 3, ...parts: readonly (readonly number[] | Uint8Array)[]): Uint8Array {
  const body = parts.flatMap((part) => [...part]);
  const count = Array.from({ length: size }, (_, at) => (body.length >> (8 * (size - 1 - at))) & 255);
  return Uint8Array.of(...count, ...body);
}

/** One extension of a ClientHello. */
export function extension(type: number, data: Uint8Array): Uint8Array {
  return Uint8Array.of(type >> 8, type & 255, ...counted(2, data));
}

/** The server's name as an extension. */
export function serverName(...names: readonly string[]): Uint8Array {
  return extension(0, counted(2, ...names.map((name) => Uint8Array.of(0, ...counted(2, latin1(name))))));
}

/** Protocols as an extension. */
export function protocols(...names: readonly string[]): Uint8Array {
  return extension(16, counted(2, ...names.map((name) => counted(1, latin1(name)))));
}

/** What a ClientHello is made of. */
export interface Hello {
  /** Its extensions; `null` leaves even their count away. */
  readonly extensions?: readonly Uint8Array[] | null;
  /** The length of the session id. */
  readonly session?: number;
  /** Into how many bytes each record is cut. */
  readonly record?: number;
}

/** A ClientHello in its records. */
export function clientHello({ extensions = [], session = 32, record = 16_384 }: Hello = {}): Uint8Array {
  const body = Uint8Array.of(
    3,
    3,
    ...new Uint8Array(32).fill(7),
    ...counted(1, new Uint8Array(session)),
    ...counted(2, [0x0a, 0x0a, 0x13, 0x01, 0x13, 0x02]),
    ...counted(1, [0]),
    ...(extensions ? counted(2, ...extensions) : []),
  );
  const message = Uint8Array.of(1, ...counted(3, body));
  const records: number[] = [];
  for (let at = 0; at < message.length; at += record) {
    records.push(22, 3, 1, ...counted(2, message.subarray(at, at + record)));
  }
  return Uint8Array.from(records);
}

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** A header of the PROXY protocol, version 2. */
export function proxyV2(
  command: number,
  kind: number,
  ...body: readonly (readonly number[] | Uint8Array)[]
): Uint8Array {
  return Uint8Array.of(...SIGNATURE, command, kind, ...counted(2, ...body));
}

/** An addition to that header. */
export function addition(type: number, value: string): Uint8Array {
  return Uint8Array.of(type, ...counted(2, latin1(value)));
}
