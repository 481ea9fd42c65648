/** What somebody without the secrets of a session can do to it by its handshake: nothing. */

import { assert, assertEquals } from "@std/assert";
import {
  CLIENT,
  establish,
  failureOf,
  flip,
  pair,
  resuming,
  secret,
  Sessions,
  type Talk,
  talk,
  TERMS,
  WAYS,
} from "../../tests/_handshakes.ts";
import { scale } from "../../tests/_require.ts";
import { ClientHandshake } from "./_client_handshake.ts";
import { encodeFrame, FRAME } from "./_frames.ts";
import type { ServerStep } from "./_handshake.ts";
import { encodePreface } from "./_handshake_frames.ts";
import { concat } from "./_keys.ts";
import { decodeIdentity, encodeIdentity } from "./_seal_exchange.ts";

const OPEN = encodePreface({ mode: 0, lowest: 1, highest: 1 });
const SEALED = encodePreface({ mode: 1, lowest: 1, highest: 1 });

/** What a server answers to a refusal without proof: its preface, and REJECT with nothing in it but the code. */
const REFUSED = concat(
  OPEN,
  encodeFrame(FRAME.reject, 0, concat(Uint8Array.of(0, 1, 0, 0, 0, 0, 0, 0), new Uint8Array(32))),
);

/** Says again what a client has said, and gives what the server decided each time. */
function replay(sessions: Sessions, recording: Talk): readonly ServerStep[] {
  const server = sessions.accept();
  const steps: ServerStep[] = [];
  for (const bytes of recording.up) {
    if (steps.at(-1)?.type === "failed") break;
    steps.push(server.receive(bytes));
  }
  return steps;
}

Deno.test("1 guessing: ids are 128 random bits, and a wrong one tells nothing", () => {
  const sessions = new Sessions();
  const ids = Array.from({ length: 64 }, () => establish(sessions).id);
  assertEquals(new Set(ids.map((id) => id.toHex())).size, 64);
  // Each bit of the ids is sometimes set and sometimes not; the chance that one is not is 2^-63 for each.
  for (let bit = 0; bit < 128; bit++) {
    const set = ids.filter((id) => ((id[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
    assert(set > 0 && set < 64, `bit ${bit} is set in ${set} of 64 ids`);
  }
  const guess = { id: secret("guess").subarray(0, 16), clientKey: secret("a"), serverKey: secret("b") };
  const { down } = talk(resuming(guess, 1), sessions.accept());
  assertEquals(down.map((bytes) => bytes.toHex()), [REFUSED.toHex()]);
});

for (const [way, seal] of Object.entries(WAYS)) {
  Deno.test(`2 ${way}: a recorded resume is refused, whether it was confirmed or not`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const confirmed = talk(resuming(session, 2, { seal: seal.client }), sessions.accept());
    assertEquals(confirmed.server?.type, "confirmed");
    const reason = seal.server ? "seal" : "rejected";
    assertEquals(failureOf(replay(sessions, confirmed).at(-1)), reason);
    // A RESUME that was never confirmed is still of a new epoch: the recorded CONFIRM does not fit the new nonce.
    const client = resuming(session, 9, { seal: seal.client });
    const cut = talk(client, sessions.accept(), {
      up: (bytes, n) => n === (seal.client ? 2 : 1) ? new Uint8Array(0) : bytes,
    });
    assertEquals(cut.steps, ["client ready"]);
    const again = replay(sessions, cut);
    assertEquals(failureOf(again.at(-1)), reason);
    if (!seal.server) assertEquals(again.map((step) => step.type), ["wait", "failed"]);
    assertEquals(sessions.of(session).epoch, 2);
  });

  Deno.test(`3 ${way}: a whole recorded conversation yields nothing from a restored backup`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const recorded = talk(resuming(session, 2, { seal: seal.client }), sessions.accept());
    assertEquals(recorded.server?.type, "confirmed");
    const backup = new Sessions({ seal: seal.server });
    backup.kept.set(session.id.toHex(), { ...sessions.of(session), epoch: 1 });
    for (const recording of [recorded, session.talk]) {
      const steps = replay(backup, recording);
      assertEquals(steps.at(-1)?.type, "failed");
      assertEquals(steps.some((step) => step.type === "confirmed"), false);
    }
    assertEquals(backup.of(session).epoch, 1);
  });

  Deno.test(`4 ${way}: who knows the id and not the secret does not get the session`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    for (const clientKey of [secret("x"), new Uint8Array(32), session.serverKey]) {
      const thief = talk(resuming({ ...session, clientKey }, 2, { seal: seal.client }), sessions.accept());
      assertEquals(failureOf(thief.server), "rejected");
    }
    assertEquals(sessions.of(session).epoch, 1);
  });

  Deno.test(`5 ${way}: neither an unproven resume nor an unconfirmed one disturbs the live session`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const before = { ...sessions.of(session) };
    talk(
      resuming({ ...session, clientKey: secret("x") }, 2 ** 32 - 1, { seal: seal.client }),
      sessions.accept(),
    );
    // The client's own RESUME, without the CONFIRM.
    talk(resuming(session, 2 ** 32 - 1, { seal: seal.client }), sessions.accept(), {
      up: (bytes, n) => n === (seal.client ? 2 : 1) ? new Uint8Array(0) : bytes,
    });
    assertEquals(sessions.of(session), before);
    const next = talk(resuming(session, 2, { seal: seal.client }), sessions.accept());
    assertEquals(next.server?.type, "confirmed");
  });

  Deno.test(`6 ${way}: of two carriers under way at once the higher epoch stays, in both orders`, () => {
    for (const order of [[2, 3], [3, 2]] as const) {
      const sessions = new Sessions({ seal: seal.server });
      const session = establish(sessions, { seal: seal.client });
      // Both come as far as their CONFIRM before either is heard.
      const under = order.map((epoch) => {
        const server = sessions.accept();
        const held: Uint8Array[] = [];
        talk(resuming(session, epoch, { seal: seal.client }), server, {
          up(bytes, n) {
            if (n !== (seal.client ? 2 : 1)) return bytes;
            held.push(bytes);
            return new Uint8Array(0);
          },
        });
        return { server, confirm: concat(...held) };
      });
      const ends = under.map(({ server, confirm }) => server.receive(confirm).type);
      assertEquals(ends, order[0] === 2 ? ["confirmed", "confirmed"] : ["confirmed", "failed"]);
      assertEquals(sessions.of(session).epoch, 3);
    }
  });

  Deno.test(`16 ${way}: whoever turns a bit of the handshake gets no session`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const { epoch } = sessions.of(session);
    const make = (kind: "new" | "resumed"): ClientHandshake =>
      kind === "new"
        ? new ClientHandshake({ wishes: TERMS, seal: seal.client })
        : resuming(session, epoch + 1, { seal: seal.client });
    // A bit of every byte, and in the long run all; of sealed ones, whose records are all of a kind, fewer.
    const [often, seldom] = scale(1, 10) < 10 ? [7, 37] : [1, 5];
    const step = seal.client ? seldom : often;
    for (const kind of ["new", "resumed"] as const) {
      const clean = talk(make(kind), new Sessions({ seal: seal.server }).accept());
      const lengths = { up: clean.up.map((bytes) => bytes.length), down: clean.down.map((b) => b.length) };
      for (const direction of ["up", "down"] as const) {
        lengths[direction].forEach((length, message) => {
          for (let bit = 0; bit < length * 8; bit += step) {
            const { client, server } = talk(make(kind), sessions.accept(), {
              [direction]: (bytes: Uint8Array, n: number) => n === message ? flip(bytes, bit) : bytes,
            });
            const got = direction === "up" ? server?.type === "confirmed" : client?.type === "ready";
            assertEquals(got, false, `${kind}, ${direction} ${message}, bit ${bit}`);
          }
        });
      }
      assertEquals(sessions.of(session).epoch, epoch);
    }
  });

  Deno.test(`17 ${way}: an end that hears itself does not take it for the other one`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    for (
      const client of [
        new ClientHandshake({ wishes: TERMS, seal: seal.client }),
        resuming(session, 2, { seal: seal.client }),
      ]
    ) {
      const first = client.start();
      const step = client.receive(first);
      if (!seal.client) {
        assertEquals(failureOf(step), "violation");
        continue;
      }
      // A sealed client has sent no record that could be thrown back; those of other carriers do not open.
      assertEquals([step.type, first.length], ["wait", 12 + 32]);
      assertEquals(failureOf(client.receive(session.talk.up[1] ?? first)), "seal");
    }
    // A server that hears its own answer.
    const server = sessions.accept();
    const client = resuming(session, 2, { seal: seal.client });
    const answer = server.receive(client.start());
    assert(answer.type === "wait" && answer.send);
    const heard = server.receive(answer.send);
    assertEquals(failureOf(heard), seal.server ? "seal" : "violation");
  });
}

Deno.test("16 versions and features that were changed on the way are noticed by the proof", () => {
  const places = { "highest version": 10, features: 12 + 12 + 64 + 3, window: 12 + 12 + 68 + 3 };
  for (const [name, at] of Object.entries(places)) {
    const { client, server, steps } = talk(new ClientHandshake({ wishes: TERMS }), new Sessions().accept(), {
      up: (bytes, n) => n === 0 ? bytes.map((byte, place) => place === at ? byte + 2 : byte) : bytes,
    });
    assertEquals(steps, ["server welcomed", "client failed"], name);
    assertEquals([failureOf(client), server?.type], ["proof", "welcomed"], name);
  }
});

Deno.test("17 the proof of one end and one frame is not taken for that of another", () => {
  const sessions = new Sessions();
  const session = establish(sessions);
  // RESUMED with the proof of RESUME, and CONFIRM with the proof of RESUMED.
  const proof = (bytes: Uint8Array): Uint8Array => bytes.subarray(-32);
  let resume: Uint8Array = new Uint8Array(0);
  const mirrored = talk(resuming(session, 2), sessions.accept(), {
    up: (bytes) => resume = bytes,
    down: (bytes) => concat(bytes.subarray(0, -32), proof(resume)),
  });
  assertEquals(failureOf(mirrored.client), "proof");
  let resumed: Uint8Array = new Uint8Array(0);
  const echoed = talk(resuming(session, 2), sessions.accept(), {
    up: (bytes, n) => n === 1 ? concat(bytes.subarray(0, -32), proof(resumed)) : bytes,
    down: (bytes) => resumed = bytes,
  });
  assertEquals(failureOf(echoed.server), "rejected");
  // A signature of the client is none of the server, even by the same key over the same carrier.
  const binding = secret("binding");
  const shown = encodeIdentity("client", CLIENT, binding);
  assertEquals(decodeIdentity("client", shown, binding), CLIENT.publicKey);
  assertEquals(decodeIdentity("server", shown, binding), "forged");
  assertEquals(decodeIdentity("client", shown, secret("another carrier")), "forged");
});

Deno.test("11 an unproven carrier keeps less than 400 bytes, and ends as soon as it is wrong", () => {
  const header = (type: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(12);
    bytes[0] = type;
    new DataView(bytes.buffer).setUint32(2, length);
    return bytes;
  };
  // How many bytes are taken, one by one, before the carrier is ended.
  const taken = (sessions: Sessions, bytes: Uint8Array): number => {
    const server = sessions.accept();
    for (let n = 0; n < bytes.length; n++) {
      if (server.receive(bytes.subarray(n, n + 1)).type !== "wait") return n + 1;
    }
    return Infinity;
  };
  const endless = new Uint8Array(100_000);
  const sessions = new Sessions();
  assertEquals(taken(sessions, endless), 1);
  assertEquals(taken(sessions, concat(OPEN, endless)), 13);
  for (
    const [type, length] of [[16, 79], [16, 337], [16, 65_536], [18, 83], [18, 85], [
      18,
      2 ** 32 - 1,
    ]] as const
  ) {
    assertEquals(taken(sessions, concat(OPEN, header(type, length), endless)), 24, `${type} with ${length}`);
  }
  // Types that are of the session, or of the server, are refused by their first byte.
  for (const type of [0, 1, 2, 3, 4, 5, 6, 7, 15, 17, 19, 20, 21, 22, 255]) {
    assertEquals(taken(sessions, concat(OPEN, Uint8Array.of(type), endless)), 13, `${type}`);
  }
  // The largest HELLO is answered, and more behind it is not taken.
  const hello = concat(OPEN, header(16, 336), endless.subarray(0, 64), Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0));
  const full = concat(hello, endless.subarray(0, 360 - hello.length));
  assertEquals([full.length, taken(sessions, full)], [360, 360]);
  const first = new ClientHandshake({ wishes: TERMS }).start();
  for (const more of [concat(first, Uint8Array.of(20)), concat(OPEN, Uint8Array.of(1))]) {
    const step = sessions.accept().receive(more);
    assertEquals([failureOf(step), step.type === "failed" && step.send], ["violation", null]);
  }
  const sealed = new Sessions({ seal: WAYS["shared key"]?.server });
  const key = pair("x").publicKey;
  for (const length of [0, 16, 401, 65_564, 2 ** 32 - 1]) {
    const record = new Uint8Array(4);
    new DataView(record.buffer).setUint32(0, length);
    assertEquals(taken(sealed, concat(SEALED, key, record, endless)), 12 + 32 + 4, `record of ${length}`);
  }
  assertEquals(taken(sealed, concat(SEALED, new Uint8Array(32), endless)), 12 + 32);
});

Deno.test("19 an unknown id, a wrong proof and an old epoch get the same answer", () => {
  const sessions = new Sessions();
  const session = establish(sessions);
  assertEquals(talk(resuming(session, 5), sessions.accept()).server?.type, "confirmed");
  const attempts = {
    "unknown id": resuming({ ...session, id: secret("x").subarray(0, 16) }, 6),
    "wrong proof": resuming({ ...session, clientKey: secret("x") }, 6),
    "old epoch": resuming(session, 5),
    "older epoch, wrong proof": resuming({ ...session, clientKey: secret("x") }, 4),
  };
  for (const [name, client] of Object.entries(attempts)) {
    const { down, client: step } = talk(client, sessions.accept());
    assertEquals(down.map((bytes) => bytes.toHex()), [REFUSED.toHex()], name);
    assert(step?.type === "failed");
    assertEquals(step.failure.message, "the server refused: refused", name);
  }
  // What is known of a session is told to nobody who has not proven that it is his.
  sessions.of(session).rejection = { code: 4, text: "resume+tcp://b.example:1" };
  for (const key of ["unknown id", "wrong proof", "old epoch"] as const) {
    const again = {
      "unknown id": resuming({ ...session, id: secret("x").subarray(0, 16) }, 6),
      "wrong proof": resuming({ ...session, clientKey: secret("x") }, 6),
      "old epoch": resuming(session, 5),
    }[key];
    assertEquals(talk(again, sessions.accept()).down.map((bytes) => bytes.toHex()), [REFUSED.toHex()], key);
  }
});

Deno.test("20 a session that has moved is believed only with a proof", () => {
  const sessions = new Sessions();
  const session = establish(sessions);
  const url = "resume+tcp://b.example:7000";
  sessions.of(session).rejection = { code: 4, wait: 20, text: url };
  const honest = talk(resuming(session, 2), sessions.accept());
  assert(honest.client?.type === "failed");
  assertEquals(honest.client.failure.rejection, { code: 4, wait: 20, text: url });
  // Each bit of the answer is covered: another host, another time, another code.
  const [answer = new Uint8Array(0)] = honest.down;
  for (let bit = 12 * 8; bit < answer.length * 8; bit++) {
    const { client } = talk(resuming(session, 2), sessions.accept(), { down: (bytes) => flip(bytes, bit) });
    const code = client?.type === "failed" ? client.failure.rejection?.code : undefined;
    assert(code === undefined || ![3, 4, 5].includes(code), `bit ${bit} makes it ${code}`);
  }
});

Deno.test("24 bytes of another protocol end the carrier without an answer", () => {
  const others = {
    HTTP: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    SSH: "SSH-2.0-OpenSSH_9.2\r\n",
    SMTP: "220 mail ESMTP\r\n",
    TLS: "\x16\x03\x01\x02\x00\x01\x00",
    "a TLS alert": "\x15\x03\x01\x00\x02\x02\x46",
    "the answer of HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n",
    "line ends that were changed": "\x89HOLD\n\x1a\0\x01\x01\0\0",
    PNG: "\x89PNG\r\n\x1a\n",
  };
  for (const [name, text] of Object.entries(others)) {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    for (const seal of Object.values(WAYS)) {
      const step = new Sessions({ seal: seal.server }).accept().receive(bytes);
      assertEquals([failureOf(step), step.type === "failed" && step.send], ["foreign", null], name);
      const client = new ClientHandshake({ wishes: TERMS, seal: seal.client });
      // What a foreign server sees begins with a byte that no text protocol knows.
      assertEquals(client.start()[0], 0x89);
      const heard = client.receive(bytes);
      assertEquals([failureOf(heard), heard.type === "failed" && heard.send], ["foreign", null], name);
    }
  }
});
