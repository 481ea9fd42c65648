/** Hostile bytes for the handshake of sessions, and ends that were told anything. */

import { assert, assertEquals } from "@std/assert";
import { ClientHandshake } from "../pipes/resume/_client_handshake.ts";
import { encodeFrame, FRAME } from "../pipes/resume/_frames.ts";
import {
  decodeHello,
  decodePreface,
  decodeReject,
  decodeResume,
  decodeResumed,
  decodeWelcome,
  encodeConfirm,
  encodeHello,
  encodePreface,
  encodeReject,
  encodeResume,
  encodeResumed,
  encodeWelcome,
  expecting,
  type HandshakeFrame,
  HandshakeSyntaxError,
  proofOf,
  proven,
  type RawFrame,
  splitFrame,
} from "../pipes/resume/_handshake_frames.ts";
import type { ClientSeal, ServerSeal } from "../pipes/resume/_handshake.ts";
import { concat, isSame } from "../pipes/resume/_keys.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import {
  CLIENT,
  establish,
  pair,
  resuming,
  secret,
  SERVER,
  Sessions,
  SHARED,
  type Talk,
  talk,
  TERMS,
  WAYS,
} from "./_handshakes.ts";
import { scale } from "./_require.ts";

const PROOF = secret("proof");
const [NONCE, KEY] = [secret("nonce"), secret("key")];
const ID = secret("id").subarray(0, 16);

/** One of each frame, with a proof that is none. */
const FRAMES: Readonly<Record<HandshakeFrame, readonly Uint8Array[]>> = {
  hello: [0, 4, 256].map((length) =>
    encodeHello({ nonce: NONCE, publicKey: KEY, features: 0, terms: TERMS, greeting: new Uint8Array(length) })
  ),
  welcome: [
    concat(encodeWelcome({ id: ID, nonce: NONCE, publicKey: KEY, features: 0, terms: TERMS }), PROOF),
  ],
  resume: [concat(encodeResume({ received: 7, id: ID, epoch: 2, nonce: NONCE }), PROOF)],
  resumed: [concat(encodeResumed({ received: 2 ** 40, nonce: NONCE }), PROOF)],
  confirm: [concat(encodeConfirm(9), PROOF)],
  reject: ["", "resume+tcp://b.example:1", "ü".repeat(600)].map((text) =>
    concat(encodeReject({ code: 4, wait: 1, text }), PROOF)
  ),
};

/** What each frame is made of again, from what was read. */
const AGAIN: Readonly<Record<HandshakeFrame, (raw: RawFrame) => Uint8Array>> = {
  hello: (raw) => encodeHello(decodeHello(raw)),
  welcome: (raw) => concat(encodeWelcome(decodeWelcome(raw)), proofOf(raw)),
  resume: (raw) => concat(encodeResume(decodeResume(raw)), proofOf(raw)),
  resumed: (raw) => concat(encodeResumed(decodeResumed(raw)), proofOf(raw)),
  confirm: (raw) => concat(encodeConfirm(raw.offset), proofOf(raw)),
  reject: (raw) => concat(encodeReject(decodeReject(raw)), proofOf(raw)),
};

const NAMES = Object.keys(FRAMES) as HandshakeFrame[];
const ALL = Object.values(FRAMES).flat();

Deno.test("a frame of the handshake is read to what makes the same bytes again, or refused", () => {
  const ends = fuzz(
    scale(8000, 200_000),
    (random) => {
      const name = random.one(NAMES);
      const frame = random.one(FRAMES[name]);
      return [name, random.below(8) === 0 ? frame : mutate(random, frame, ALL)] as const;
    },
    ([name, bytes]) => {
      try {
        const raw = splitFrame(bytes, expecting(name));
        if (raw === null) return "more";
        assertEquals(AGAIN[name](raw), raw.bytes);
        assertEquals(concat(proven(raw), proofOf(raw)), raw.bytes);
        assert(raw.offset < 2 ** 48);
        return "read";
      } catch (error) {
        if (!(error instanceof HandshakeSyntaxError)) throw error;
        return error.message.replaceAll(/\d+/g, "N");
      }
    },
  );
  assertEquals([...ends.keys()].toSorted(), [
    "a frame of type N came where none belongs",
    "a frame of type N has a payload of N bytes",
    "a frame of type N has offset N",
    "a text of N bytes has N",
    "a window of N bytes is none",
    "flags N are not known",
    "more",
    "read",
    "the text of a refusal is not UTF-N",
  ]);
});

Deno.test("a preface is read to what makes the same bytes again, or refused", () => {
  const ends = fuzz(
    scale(3000, 50_000),
    (random) => {
      const preface = encodePreface({
        mode: random.below(3),
        lowest: random.below(3),
        highest: random.below(3),
      });
      return mutate(random, preface, ALL);
    },
    (bytes) => {
      try {
        const preface = decodePreface(bytes);
        if (preface) assertEquals(encodePreface(preface), bytes.slice(0, 12));
        return preface ? "read" : "more";
      } catch (error) {
        if (!(error instanceof HandshakeSyntaxError)) throw error;
        return error.reason;
      }
    },
  );
  assertEquals([...ends.keys()].toSorted(), ["foreign", "more", "read"]);
});

for (const [way, seal] of Object.entries(WAYS)) {
  Deno.test(`${way}: no bytes make a handshake throw, nor get a session without its secrets`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const resumed = talk(resuming(session, 2, { seal: seal.client }), sessions.accept());
    const recorded = { up: [session.talk.up, resumed.up], down: [session.talk.down, resumed.down] };
    const others = [...ALL, ...recorded.up.flat(), ...recorded.down.flat()];
    const before = sessions.of(session).epoch;
    const ends = fuzz(
      scale(seal.client ? 250 : 1000, 20_000),
      (random) => {
        const [direction, kind, message] = [
          random.one(["up", "down"] as const),
          random.below(2),
          random.below(3),
        ];
        const count = recorded[direction][kind]?.length ?? 0;
        const change = random.below(10) === 0
          ? (bytes: Uint8Array) => concat(bytes, random.one(others))
          : (bytes: Uint8Array) => mutate(random, bytes, others);
        return { direction, kind, message: message % count, change, random };
      },
      ({ direction, kind, message, change, random }) => {
        const epoch = sessions.of(session).epoch;
        const client = kind === 0
          ? new ClientHandshake({ wishes: TERMS, seal: seal.client })
          : resuming(session, epoch + 1, { seal: seal.client });
        let changed = false;
        const heard = talk(client, sessions.accept(), {
          cut: random.one([Infinity, 7, 100]),
          [direction](bytes: Uint8Array, n: number) {
            const sent = n === message ? change(bytes) : bytes;
            changed ||= !isSame(sent.subarray(0, bytes.length), bytes);
            return sent;
          },
        });
        const confirmed = heard.server?.type === "confirmed";
        const got = direction === "up" ? confirmed : heard.client?.type === "ready" && confirmed;
        if (changed) assertEquals(got, false);
        const end = direction === "up" ? heard.server : heard.client;
        return `${direction} ${end?.type === "failed" ? end.failure.reason : end?.type}`;
      },
    );
    assert(sessions.of(session).epoch >= before);
    const least = seal.client ? ["down foreign", "down seal", "up foreign", "up seal", "up wait"] : [
      "down foreign",
      "down mode",
      "down proof",
      "down violation",
      "up mode",
      "up rejected",
      "up violation",
    ];
    for (const name of least) assert(ends.has(name), `${name} in ${JSON.stringify([...ends])}`);
  });
}

/** What an end of a sealed carrier may be told, and with which of the other end's it fits. */
const THIEF = pair("thief");
const CLIENT_SEALS: readonly (readonly [name: string, seal: ClientSeal | undefined])[] = [
  ["open", undefined],
  ["shared", { sharedKey: SHARED }],
  ["shared", { sharedKey: SHARED, identity: THIEF }],
  ["other", { sharedKey: secret("other") }],
  ["pinned", { serverKeys: [THIEF.publicKey, SERVER.publicKey], identity: CLIENT }],
  ["both", { sharedKey: SHARED, serverKeys: [SERVER.publicKey], identity: CLIENT }],
  ["wrong pin", { serverKeys: [THIEF.publicKey] }],
  ["liar", { serverKeys: [SERVER.publicKey], identity: { ...CLIENT, seed: THIEF.seed } }],
  ["invalid", { serverKeys: [], sharedKey: new Uint8Array(31) }],
  ["invalid", { identity: CLIENT }],
];
const isClient = (client: Uint8Array | null): boolean => client?.toHex() === CLIENT.publicKey.toHex();
const SERVER_SEALS: readonly (readonly [fits: string, seal: ServerSeal | undefined])[] = [
  ["open", undefined],
  ["shared", { sharedKey: SHARED }],
  ["pinned", { identity: SERVER, admit: isClient }],
  ["shared both", { sharedKey: SHARED, identity: SERVER }],
  ["both", { sharedKey: SHARED, identity: SERVER, admit: isClient }],
  ["", { sharedKey: SHARED, admit: () => false }],
  ["invalid", { admit: isClient }],
  ["invalid", { identity: SERVER }],
];

/** Two ends that were told anything, and a world that changes while they talk. */
function anything(random: Random) {
  const some = <T>(often: T, ...seldom: readonly T[]): T => random.below(8) > 0 ? often : random.one(seldom);
  const wrong = random.below(8) === 0;
  return {
    client: random.one(CLIENT_SEALS),
    server: random.below(3) > 0 ? undefined : random.one(SERVER_SEALS),
    wishes: {
      window: some(65_536 + random.below(100_000), 67_108_864, wrong ? 65_535 : 65_536, wrong ? NaN : 80_000),
      expiry: some(random.below(100_000), 2 ** 32 - 1, wrong ? -1 : 0),
      keepalive: some(random.below(3), wrong ? 2 ** 32 : 2 ** 32 - 1),
    },
    greeting: some(random.below(256), wrong ? 257 : 256),
    resume: random.below(2) === 0,
    knows: some(true, false),
    has: some(true, false),
    epoch: some(3, 1, 2, 4, wrong ? 0 : 5, wrong ? 2 ** 32 : 6),
    rejection: random.below(4) > 0 ? undefined : { code: random.below(8), text: "x", wait: random.below(3) },
    /** What happens to the session before CONFIRM is heard. */
    meanwhile: some("nothing", "newer", "gone", "rejected"),
    ownId: random.below(4) === 0,
  };
}

Deno.test("two ends get a session exactly where everything fits, whatever they and the world are", () => {
  const ends = fuzz(scale(1500, 40_000), anything, (told) => {
    const [kind, clientSeal] = told.client;
    const [fits, serverSeal] = told.server ??
      SERVER_SEALS.find(([name]) => name === kind) ?? SERVER_SEALS[2] ?? ["", undefined];
    const id = secret("session").subarray(0, 16);
    const keys = { clientKey: secret("kc"), serverKey: secret("ks") };
    const sessions = new Sessions({
      seal: serverSeal,
      limits: { window: 80_000, expiry: 50_000, keepalive: 2 },
      refuse: () => told.rejection ?? null,
      ...(told.ownId ? { newId: () => id } : {}),
    });
    const kept = {
      ...keys,
      epoch: 2,
      received: () => 5,
      ...(told.rejection ? { rejection: told.rejection } : {}),
    };
    if (told.resume && told.has) sessions.kept.set(id.toHex(), kept);
    let heard: Talk;
    try {
      const client = new ClientHandshake({
        wishes: told.wishes,
        greeting: new Uint8Array(told.greeting),
        seal: clientSeal,
        session: told.resume
          ? { id, ...keys, ...(told.knows ? {} : { clientKey: id }), epoch: told.epoch, received: () => 6 }
          : undefined,
      });
      heard = talk(client, sessions.accept(), {
        up(bytes, n) {
          const [key, session] = [...sessions.kept][0] ?? [];
          if (n === (clientSeal ? 2 : 1) && key && session) {
            if (told.meanwhile === "newer") session.epoch = 9;
            if (told.meanwhile === "gone") sessions.kept.delete(key);
            if (told.meanwhile === "rejected") session.rejection = { code: 5 };
          }
          return bytes;
        },
      });
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      return error.name;
    }
    const isFit = fits.split(" ").includes(kind) && told.rejection === undefined &&
      told.meanwhile === "nothing";
    const isRight = !told.resume || (told.knows && told.has && told.epoch > 2);
    const isConfirmed = heard.server?.type === "confirmed";
    assertEquals(isConfirmed, isFit && isRight, heard.steps.join());
    if (isConfirmed) assertEquals(heard.client?.type, "ready");
    const client = heard.client?.type === "failed" ? heard.client.failure : undefined;
    const server = heard.server?.type === "failed" ? heard.server.failure : undefined;
    return `${client?.rejection?.code ?? client?.reason ?? "ready"} ${server?.reason ?? "fine"}`;
  });
  const least = ["RangeError", "TypeError", "ready fine", "mode mode", "seal fine", "identity fine"];
  const refusals = [1, 2, 3, 4, 5, 6].map((code) => `${code} rejected`);
  for (const name of [...least, "ready identity", ...refusals]) {
    assert(ends.has(name), `${name} in ${JSON.stringify([...ends])}`);
  }
});

Deno.test("a REJECT whose text is too long is cut between two characters", () => {
  const raw = splitFrame(
    concat(encodeReject({ code: 2, wait: 0, text: "€".repeat(400) }), PROOF),
    expecting("reject"),
  );
  assert(raw);
  assertEquals(decodeReject(raw).text, "€".repeat(341));
  assertEquals(splitFrame(encodeFrame(FRAME.confirm, 0, PROOF), expecting("confirm"))?.offset, 0);
});
