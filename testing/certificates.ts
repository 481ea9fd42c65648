/** Certificates for tests of TLS, made on the spot: good ones, and those that a client must refuse. */

import { parseIp } from "../internal/ip.ts";

/** A certificate and its key, as `Deno.listenTls` and `Deno.serve` take them. */
export interface TestCertificate {
  /** The certificate in PEM. */
  readonly cert: string;
  /** Its private key in PEM (PKCS #8). */
  readonly key: string;
}

/** What an issued certificate says. */
export interface TestCertificateOptions {
  /**
   * The host names and IP addresses that it is good for.
   *
   * @default {["localhost", "127.0.0.1", "::1"]}
   */
  readonly names?: readonly string[];
  /**
   * From when on it is valid.
   *
   * @default an hour ago
   */
  readonly notBefore?: Date;
  /**
   * Until when it is valid.
   *
   * @default in a day
   */
  readonly notAfter?: Date;
}

/** An authority that issues certificates, and that nobody trusts unless told to. */
export interface TestAuthority {
  /** The authority's own certificate in PEM, for `caCerts`. */
  readonly cert: string;
  /**
   * Issues a certificate with a fresh key.
   *
   * @param options Names and time of validity.
   * @returns The certificate and its key.
   */
  issue(options?: TestCertificateOptions): Promise<TestCertificate>;
}

/**
 * Makes an authority for one test: its key is new and is never stored. Needs no permission and no program.
 *
 * @param name Its name in the certificates.
 * @returns The authority.
 *
 * @example
 * ```ts
 * import { makeTestAuthority } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const authority = await makeTestAuthority();
 * const { cert, key } = await authority.issue({ names: ["localhost"] });
 * await using server = Deno.serve({ port: 0, cert, key, onListen() {} }, () => new Response("hello"));
 * using client = Deno.createHttpClient({ caCerts: [authority.cert] });
 * const answer = await fetch(`https://localhost:${server.addr.port}/`, { client });
 * assertEquals(await answer.text(), "hello");
 * ```
 */
export async function makeTestAuthority(name = "Holdfast test authority"): Promise<TestAuthority> {
  const authority = await newKeys();
  const issuer = { name, signer: authority.privateKey };
  const from = new Date(Date.now() - 10 * 365 * DAY);
  const to = new Date(Date.now() + 10 * 365 * DAY);
  const extensions = [basicConstraints(true), keyUsage("cert-sign")];
  const own = await certificate({ issuer, name, keys: authority, from, to, extensions });
  return {
    cert: pem("CERTIFICATE", own),
    async issue({ names = ["localhost", "127.0.0.1", "::1"], notBefore, notAfter } = {}) {
      const keys = await newKeys();
      const bytes = await certificate({
        issuer,
        name: names[0] ?? "nobody",
        keys,
        from: notBefore ?? new Date(Date.now() - DAY / 24),
        to: notAfter ?? new Date(Date.now() + DAY),
        extensions: [basicConstraints(false), keyUsage("sign"), SERVER_AUTH, alternativeNames(names)],
      });
      const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
      return { cert: pem("CERTIFICATE", bytes), key: pem("PRIVATE KEY", key) };
    },
  };
}

const DAY = 86_400_000;

type Bytes = Uint8Array<ArrayBuffer>;

/** ECDSA on P-256: small, quick to make, and known to every client. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** The certificate of RFC 5280, 4.1. */
async function certificate(what: {
  readonly issuer: { readonly name: string; readonly signer: CryptoKey };
  readonly name: string;
  readonly keys: CryptoKeyPair;
  readonly from: Date;
  readonly to: Date;
  readonly extensions: readonly Bytes[];
}): Promise<Bytes> {
  const { issuer, name, keys, from, to, extensions } = what;
  const body = der(
    Tag.sequence,
    der(0xa0, der(Tag.integer, bytes(2))), // version 3
    der(Tag.integer, crypto.getRandomValues(new Uint8Array(15)).with(0, 0x4a)),
    ECDSA_WITH_SHA256,
    commonName(issuer.name),
    der(Tag.sequence, time(from), time(to)),
    commonName(name),
    new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)),
    der(0xa3, der(Tag.sequence, ...extensions)),
  );
  const signature = new Uint8Array(await crypto.subtle.sign(ALGORITHM, issuer.signer, body));
  return der(Tag.sequence, body, ECDSA_WITH_SHA256, bitString(ecdsaSignature(signature)));
}

/** The tags of ITU-T X.690 that are needed here. */
const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Object identifiers as they are encoded; the arcs stand beside them. */
const ECDSA_WITH_SHA256 = der(Tag.sequence, der(Tag.oid, hex("2a8648ce3d040302"))); // 1.2.840.10045.4.3.2
const COMMON_NAME = der(Tag.oid, hex("550403")); // 2.5.4.3
const KEY_USAGE = der(Tag.oid, hex("551d0f")); // 2.5.29.15
const SUBJECT_ALT_NAME = der(Tag.oid, hex("551d11")); // 2.5.29.17
const BASIC_CONSTRAINTS = der(Tag.oid, hex("551d13")); // 2.5.29.19
const EXT_KEY_USAGE = der(Tag.oid, hex("551d25")); // 2.5.29.37
const FOR_SERVERS = der(Tag.oid, hex("2b06010505070301")); // 1.3.6.1.5.5.7.3.1
const TRUE = der(Tag.boolean, bytes(0xff));
const SERVER_AUTH = extension(EXT_KEY_USAGE, der(Tag.sequence, FOR_SERVERS));

function basicConstraints(authority: boolean): Bytes {
  return extension(BASIC_CONSTRAINTS, der(Tag.sequence, ...(authority ? [TRUE] : [])), TRUE);
}

function keyUsage(use: "sign" | "cert-sign"): Bytes {
  // The bits are counted from the left: digitalSignature is the first, keyCertSign the sixth.
  return extension(KEY_USAGE, der(Tag.bits, use === "sign" ? bytes(7, 0x80) : bytes(2, 0x04)), TRUE);
}

function alternativeNames(names: readonly string[]): Bytes {
  const entries = names.map((name) => {
    const ip = parseIp(name);
    return ip ? der(0x87, Uint8Array.from(ip)) : der(0x82, utf8(name));
  });
  return extension(SUBJECT_ALT_NAME, der(Tag.sequence, ...entries));
}

function extension(oid: Bytes, value: Bytes, ...critical: readonly Bytes[]): Bytes {
  return der(Tag.sequence, oid, ...critical, der(Tag.octets, value));
}

function commonName(name: string): Bytes {
  return der(Tag.sequence, der(Tag.set, der(Tag.sequence, COMMON_NAME, der(Tag.utf8, utf8(name)))));
}

/** A time in the form that RFC 5280, 4.1.2.5 asks for: with two digits of the year until 2049. */
function time(date: Date): Bytes {
  const text = date.toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "");
  const year = date.getUTCFullYear();
  if (year >= 1950 && year < 2050) return der(Tag.utcTime, utf8(text.slice(2)));
  return der(Tag.generalizedTime, utf8(text));
}

/** Two numbers of 32 bytes, as the runtime signs, become two DER integers (RFC 3279, 2.2.3). */
function ecdsaSignature(raw: Bytes): Bytes {
  return der(Tag.sequence, unsigned(raw.subarray(0, 32)), unsigned(raw.subarray(32)));
}

function unsigned(number: Bytes): Bytes {
  const first = number.findIndex((byte) => byte !== 0);
  const digits = number.subarray(first < 0 ? number.length - 1 : first);
  // The highest bit is the sign.
  return (digits[0] ?? 0) < 0x80 ? der(Tag.integer, digits) : der(Tag.integer, bytes(0), digits);
}

function bitString(value: Bytes): Bytes {
  return der(Tag.bits, bytes(0), value);
}

/** One element: tag, length, contents. */
function der(tag: number, ...contents: readonly Bytes[]): Bytes {
  const length = contents.reduce((sum, { length }) => sum + length, 0);
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return bytes(...head, ...contents.flatMap((part) => [...part]));
}

function bytes(...values: readonly number[]): Bytes {
  return Uint8Array.from(values);
}

function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

function hex(text: string): Bytes {
  return Uint8Array.fromHex(text);
}

function pem(label: string, value: Bytes): string {
  const lines = value.toBase64().match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
