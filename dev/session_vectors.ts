/**
 * Writes the test vectors of the session protocol: `deno run -A dev/session_vectors.ts`.
 *
 * All random bytes are chosen, so both ends say the same every time; another implementation that is given the same ones
 * must say the same.
 *
 * @module
 */

import { encodeFrame, FRAME } from "../pipes/resume/_frames.ts";
import type { Rejection } from "../pipes/resume/_handshake.ts";
import type { Terms } from "../pipes/resume/_handshake_frames.ts";
import { ascii, concat, sha256, signingPublicKey } from "../pipes/resume/_keys.ts";
import type { SealedCodec } from "../pipes/resume/_seal.ts";
import {
  bytes,
  ends,
  type Hex,
  type VectorHandshake,
  type VectorMessage,
  type Vectors,
  type VectorSession,
} from "./_session_vector.ts";

/** Where the vectors are. */
export const VECTORS: URL = new URL("../tests/vectors/session.json", import.meta.url);

/** Makes the vectors. */
export function sessionVectors(): Vectors {
  const greeting = ascii("echo").toHex();
  const fresh = { session: null, rejection: null };
  const shared = { sharedKey: chosen("shared key", 32) };
  const pinned = { serverPublicKey: publicKey("server seed"), clientSeed: chosen("client seed", 32) };
  const identified = { serverSeed: chosen("server seed", 32), clientPublicKey: publicKey("client seed") };
  const open = carrier({ name: "open, new", seals: [null, null], greeting, ...fresh });
  const known = {
    id: open.server.random.id ?? "",
    clientKey: open.keys?.clientKey ?? "",
    serverKey: open.keys?.serverKey ?? "",
    epoch: 2,
    isKnown: true,
  };
  const both = { seals: [shared, shared] } as const;
  const positions = { received: [7, 2 ** 32 + 5] } as const;
  const moved = { code: 4, wait: 250, text: "resume+tcp://b.example:7000" };
  return {
    description: DESCRIPTION,
    handshakes: [
      open,
      carrier({ name: "open, resumed", seals: [null, null], session: known, rejection: null, ...positions }),
      carrier({
        name: "open, resume of a session that is not there",
        seals: [null, null],
        session: { ...known, id: chosen("another id", 16), isKnown: false },
        rejection: null,
        ...positions,
      }),
      carrier({
        name: "open, resume of a session that has moved",
        seals: [null, null],
        session: known,
        rejection: moved,
        ...positions,
      }),
      carrier({ name: "sealed by a shared key, new", ...both, greeting, ...fresh }),
      carrier({
        name: "sealed by a shared key, resumed",
        ...both,
        session: { ...known, epoch: 3 },
        rejection: null,
        ...positions,
      }),
      carrier({
        name: "sealed, pinned server key and client key, new",
        seals: [pinned, identified],
        greeting,
        ...fresh,
      }),
      carrier({
        name: "sealed, shared key and pinned server key and client key, new",
        seals: [{ ...shared, ...pinned }, { ...shared, ...identified }],
        ...fresh,
      }),
      carrier({
        name: "sealed by a shared key, refused",
        ...both,
        greeting,
        session: null,
        rejection: { code: 6, wait: 0, text: "no such service" },
      }),
    ],
    frames: FRAMES.map(([type, offset, payload]) => ({
      type,
      offset,
      payload: payload.toHex(),
      bytes: encodeFrame(FRAME[type], offset, payload).toHex(),
    })),
  };
}

/** Bytes that look random and depend on a name only: SHA-256 of it, cut. */
export function chosen(name: string, length: number): string {
  return sha256(ascii(`holdfast vector: ${name}`)).subarray(0, length).toHex();
}

const DESCRIPTION: readonly string[] = [
  "Test vectors of the session protocol, version 1 (docs/PROTOCOLS.md); all bytes are in hexadecimal.",
  "handshakes: carriers. client, server: what each end is told. random: its random bytes; sealSecret, secret: X25519",
  "private keys, of the sealed carrier and of the new session. seal: null for an open carrier, else the shared key,",
  "Ed25519 private keys (seeds) of its own, and public keys of the other end that it accepts. terms, greeting: of HELLO",
  "or the server's limits. received: the position it says it has received. session: the session before it is resumed,",
  "with the epoch of RESUME; the server's epoch is one less; isKnown: whether the server has it. rejection: what the",
  "server answers. messages: all bytes of the carrier, in order; of a sealed carrier, the last ones hold records that",
  "follow CONFIRM (an ACK, then DATA) with the counters that go on. keys: the secrets of a new session.",
  "frames: frames that follow a handshake, on an open carrier, each by itself.",
];

const FRAMES: readonly (readonly [keyof typeof FRAME, number, Uint8Array])[] = [
  ["data", 0, ascii("hello")],
  ["data", 2 ** 32 + 5, Uint8Array.of(0)],
  ["ack", 5, new Uint8Array(0)],
  ["ack", 2 ** 48 - 1, new Uint8Array(0)],
  ["fin", 5, new Uint8Array(0)],
  ["ping", 0x010203040506, new Uint8Array(0)],
  ["pong", 0x010203040506, new Uint8Array(0)],
  ["abort", 5, concat(Uint8Array.of(1, 0), ascii("done"))],
  ["addr", 0, concat(Uint8Array.of(1, 0, 20), ascii("tcp://192.0.2.1:7000"))],
];

const CLIENT_TERMS: Terms = { window: 4_194_304, expiry: 120_000, keepalive: 15_000 };
const SERVER_TERMS: Terms = { window: 1_048_576, expiry: 600_000, keepalive: 0 };

interface CarrierOptions {
  readonly name: string;
  readonly seals: readonly [client: Hex | null, server: Hex | null];
  readonly greeting?: string;
  readonly session: VectorSession | null;
  readonly rejection: Required<Rejection> | null;
  readonly received?: readonly [client: number, server: number];
}

/** Lets both ends talk, and writes down what they say. */
function carrier(options: CarrierOptions): VectorHandshake {
  const { name, seals, greeting = "", session, rejection, received = [0, 0] } = options;
  const random = (end: string, more: readonly (readonly [string, number])[]): Hex =>
    Object.fromEntries(
      [...seals[0] ? [["sealSecret", 32] as const] : [], ...more]
        .map(([what, length]) => [what, chosen(`${name}: ${end} ${what}`, length)]),
    );
  const nonce = ["nonce", 32] as const;
  const secret = ["secret", 32] as const;
  const vector = {
    name,
    client: {
      random: random("client", session ? [nonce] : [nonce, secret]),
      seal: seals[0],
      terms: CLIENT_TERMS,
      greeting,
      received: received[0],
    },
    server: {
      random: random("server", session ? [nonce] : [["id", 16], nonce, secret]),
      seal: seals[1],
      terms: SERVER_TERMS,
      greeting: "",
      received: received[1],
    },
    session,
    rejection,
  };
  return { ...vector, ...talk(vector) };
}

function talk(
  vector: Omit<VectorHandshake, "messages" | "keys">,
): Pick<VectorHandshake, "messages" | "keys"> {
  const { client, server } = ends(vector);
  const messages: VectorMessage[] = [];
  const first = vector.session ? "RESUME" : "HELLO";
  const second = vector.session ? "RESUMED" : "WELCOME";
  const say = (from: "client" | "server", what: string, bytes: Uint8Array): Uint8Array => {
    messages.push({ from, what, bytes: bytes.toHex() });
    return bytes;
  };
  const sealed = vector.client.seal !== null;
  let up = say("client", sealed ? "preface, key" : `preface, ${first}`, client.start());
  if (sealed) {
    const shown = server.receive(up);
    const identity = say("server", "preface, key, record: identity", sent(shown));
    up = say("client", `records: identity; ${first}`, sent(client.receive(identity)));
  }
  const answer = server.receive(up);
  const what = answer.type === "failed" ? "REJECT" : second;
  const ready = client.receive(
    say("server", sealed ? `record: ${what}` : `preface, ${what}`, sent(answer)),
  );
  if (ready.type !== "ready") return { messages, keys: null };
  const confirmed = server.receive(say("client", sealed ? "record: CONFIRM" : "CONFIRM", ready.send));
  if (confirmed.type !== "confirmed") throw new Error(`Cannot make ${vector.name}: ${confirmed.type}`);
  if (ready.codec && confirmed.codec) {
    sealedData(say, "client", ready.codec);
    sealedData(say, "server", confirmed.codec);
  }
  const { session } = ready;
  const keys = session &&
    { id: session.id.toHex(), clientKey: session.clientKey.toHex(), serverKey: session.serverKey.toHex() };
  return { messages, keys };
}

function sealedData(
  say: (from: "client" | "server", what: string, bytes: Uint8Array) => void,
  from: "client" | "server",
  codec: SealedCodec,
): void {
  say(from, "record: ACK", codec.seal(encodeFrame(FRAME.ack, 0)));
  say(from, "record: DATA", codec.seal(encodeFrame(FRAME.data, 0, ascii(`from the ${from}`))));
}

function sent(step: { readonly type: string; readonly send?: Uint8Array | null }): Uint8Array {
  if (!step.send) throw new Error(`Cannot go on: nothing to send in ${step.type}`);
  return step.send;
}

function publicKey(name: string): string {
  return signingPublicKey(bytes(chosen(name, 32))).toHex();
}

if (import.meta.main) {
  await Deno.mkdir(new URL(".", VECTORS), { recursive: true });
  await Deno.writeTextFile(VECTORS, JSON.stringify(sessionVectors(), null, 2) + "\n");
}
