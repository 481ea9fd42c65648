/** DNS messages as a server for tests needs them (RFC 1035): questions in, answers out. */

import { parseIp } from "../internal/ip.ts";

/** The record types that are told by name; any other one is told by number, for example `"TYPE65"`. */
const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, HTTPS: 65 };

/** What an answer can be besides a good one (RFC 1035 section 4.1.1). */
export const RCODES = { noerror: 0, formerr: 1, servfail: 2, nxdomain: 3, notimp: 4, refused: 5 } as const;

/** The largest answer for those who do not say that they take more (RFC 1035 section 4.2.1). */
const PLAIN_SIZE = 512;

/** What those who send an OPT record take at least, whatever they say (RFC 6891 section 6.2.5 and its advice). */
const EDNS_SIZE = 1232;

/** A query, as far as a test server looks at it. */
export interface DnsQuery {
  /** Its number, which the answer repeats. */
  readonly id: number;
  /** Whether it asks for recursion; the answer repeats that. */
  readonly recursion: boolean;
  /** The name in lower case, without the last dot. */
  readonly name: string;
  /** `"A"`, `"AAAA"` ..., or `"TYPE65"` for a number without a name here. */
  readonly type: string;
  /** The question's own bytes, which the answer repeats: some resolvers check the case of the letters. */
  readonly question: Uint8Array;
  /** How many bytes the answer may have. */
  readonly size: number;
}

/** One record of an answer. */
export interface DnsRecord {
  /** Whose record it is. */
  readonly name: string;
  /** What it is. */
  readonly type: "A" | "AAAA" | "CNAME";
  /** An address, or a name. */
  readonly value: string;
}

/** What an answer says. */
export interface DnsReply {
  /** How it went. */
  readonly rcode: keyof typeof RCODES;
  /** The records of the answer section. */
  readonly records?: readonly DnsRecord[];
  /** How many seconds the records may be kept. */
  readonly ttl?: number;
  /** Whether it says that it is cut off. */
  readonly truncated?: boolean;
}

/**
 * Reads a query.
 *
 * @param bytes A datagram; anything may be in it.
 * @returns The query, an id for one that cannot be understood, or `null` for what deserves no answer.
 */
export function decodeQuery(bytes: Uint8Array): DnsQuery | { readonly bad: number } | null {
  if (bytes.length < 12) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [id, flags] = [view.getUint16(0), view.getUint16(2)];
  // An answer to an answer could go on for ever.
  if (flags & 0x8000) return null;
  if ((flags & 0x7800) !== 0 || view.getUint16(4) !== 1) return { bad: id };
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = bytes[at];
    // No pointer can stand in the only question, and 63 is the longest label (RFC 1035 section 2.3.4).
    if (length === undefined || length > 63 || at + length - 12 > 254) return { bad: id };
    at++;
    if (length === 0) break;
    labels.push(String.fromCharCode(...bytes.subarray(at, at + length)));
    at += length;
  }
  if (at + 4 > bytes.length) return { bad: id };
  return {
    id,
    recursion: (flags & 0x0100) !== 0,
    name: labels.join(".").toLowerCase(),
    type: typeName(view.getUint16(at)),
    question: bytes.slice(12, at + 4),
    size: view.getUint16(10) > 0 ? EDNS_SIZE : PLAIN_SIZE,
  };
}

/**
 * Writes an answer; one that would be too long is cut off between two records, and says so.
 *
 * @param query What it answers.
 * @param reply What it says.
 */
export function encodeReply(query: DnsQuery, reply: DnsReply): Uint8Array {
  const { rcode, records = [], ttl = 0 } = reply;
  const parts: Uint8Array[] = [];
  let room = query.size - 12 - query.question.length;
  for (const record of records) {
    const bytes = encodeRecord(record, ttl);
    if (bytes.length > room) break;
    room -= bytes.length;
    parts.push(bytes);
  }
  const truncated = reply.truncated === true || parts.length < records.length;
  // An answer, authoritative, recursion available.
  const flags = 0x8480 | (truncated ? 0x0200 : 0) | (query.recursion ? 0x0100 : 0) | RCODES[rcode];
  return join([...header(query.id, flags, 1, parts.length), ...query.question], parts);
}

/** Writes the answer to what was no proper query. */
export function encodeBad(id: number): Uint8Array {
  return Uint8Array.from(header(id, 0x8000 | RCODES.formerr, 0, 0));
}

function typeName(number: number): string {
  return Object.entries(TYPES).find(([, value]) => value === number)?.[0] ?? `TYPE${number}`;
}

function header(id: number, flags: number, questions: number, answers: number): number[] {
  return [id, flags, questions, answers, 0, 0].flatMap(word);
}

function word(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function encodeRecord({ name, type, value }: DnsRecord, ttl: number): Uint8Array {
  const data = type === "CNAME" ? encodeName(value) : encodeIp(type, value);
  const [high, low] = [Math.floor(ttl / 0x10000), ttl & 0xffff];
  // Class 1 is the Internet.
  const fixed = [TYPES[type], 1, high, low, data.length].flatMap(word);
  return Uint8Array.of(...encodeName(name), ...fixed, ...data);
}

function encodeIp(type: "A" | "AAAA", value: string): Uint8Array {
  const bytes = parseIp(value);
  if (bytes?.length === (type === "A" ? 4 : 16)) return bytes;
  throw new TypeError(`Cannot encode a DNS record: "${value}" is no address for ${type}`);
}

function encodeName(name: string): Uint8Array {
  const bytes = name.split(".").filter((label) => label !== "").flatMap((label) => {
    const codes = [...new TextEncoder().encode(label)];
    if (codes.length > 63) {
      throw new TypeError(`Cannot encode a DNS name: "${label}" is longer than 63 bytes`);
    }
    return [codes.length, ...codes];
  });
  return Uint8Array.of(...bytes, 0);
}

function join(head: readonly number[], parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(head.length + parts.reduce((sum, { length }) => sum + length, 0));
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
