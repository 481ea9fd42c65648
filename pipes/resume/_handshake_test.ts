import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  CLIENT,
  establish,
  failureOf,
  resuming,
  SERVER,
  Sessions,
  SHARED,
  talk,
  TERMS,
  WAYS,
} from "../../tests/_handshakes.ts";
import { ClientHandshake } from "./_client_handshake.ts";
import { encodeFrame, FRAME } from "./_frames.ts";
import { encodePreface, encodeReject } from "./_handshake_frames.ts";
import { concat } from "./_keys.ts";
import { ServerHandshake } from "./_server_handshake.ts";

for (const [way, seal] of Object.entries(WAYS)) {
  Deno.test(`${way}: a new session is agreed on, then resumed`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const greeting = new TextEncoder().encode("echo");
    const session = establish(sessions, { seal: seal.client, greeting });
    assertEquals(session.talk.steps, ["server welcomed", "client ready", "server confirmed"]);
    const kept = sessions.of(session);
    assertEquals([kept.clientKey, kept.serverKey, kept.epoch], [session.clientKey, session.serverKey, 1]);
    const { server } = session.talk;
    assert(server?.type === "confirmed" && server.isNew);
    assertEquals(server.client, way === "pinned key" ? CLIENT.publicKey : null);
    kept.received = () => 70_000;
    const { clientKey, serverKey, id } = session;
    const resume = { id, clientKey, serverKey, epoch: 7, received: () => 2 ** 40 };
    const resumed = talk(
      new ClientHandshake({ wishes: TERMS, seal: seal.client, session: resume }),
      sessions.accept(),
    );
    assertEquals(resumed.steps, ["client ready", "server confirmed"]);
    assert(resumed.client?.type === "ready" && resumed.server?.type === "confirmed");
    assertEquals([resumed.client.peerReceived, resumed.client.session], [70_000, null]);
    assertEquals([resumed.server.peerReceived, resumed.server.epoch, resumed.server.isNew], [
      2 ** 40,
      7,
      false,
    ]);
    assertEquals(sessions.of(session).epoch, 7);
  });

  Deno.test(`${way}: it makes no difference in which pieces the bytes come`, () => {
    for (const cut of [1, 2, 3, 13]) {
      const sessions = new Sessions({ seal: seal.server });
      const client = new ClientHandshake({ wishes: TERMS, seal: seal.client });
      const { steps } = talk(client, sessions.accept(), { cut });
      assertEquals(steps, ["server welcomed", "client ready", "server confirmed"], `${cut} at once`);
    }
  });

  Deno.test(`${way}: what comes behind the handshake is given back for the session`, () => {
    const sessions = new Sessions({ seal: seal.server });
    const client = new ClientHandshake({ wishes: TERMS, seal: seal.client });
    const server = sessions.accept();
    let answer = server.receive(client.start());
    let step = client.receive("send" in answer && answer.send ? answer.send : new Uint8Array(0));
    if (seal.client) {
      answer = server.receive(step.type === "wait" && step.send ? step.send : new Uint8Array(0));
      step = client.receive(answer.type === "welcomed" ? answer.send : new Uint8Array(0));
    }
    assert(step.type === "ready");
    const frames = concat(encodeFrame(FRAME.ack, 0), encodeFrame(FRAME.data, 0, new Uint8Array(65_536)));
    const pass = (bytes: Uint8Array): Uint8Array => bytes;
    const { codec } = step;
    const sealUp = codec ? (bytes: Uint8Array) => codec.seal(bytes).slice() : pass;
    // The record of a frame is there but for its last byte, and so is the frame itself on an open carrier.
    const up = concat(step.send, sealUp(frames), sealUp(encodeFrame(FRAME.ping, 9)));
    const confirmed = server.receive(up.subarray(0, -1));
    assert(confirmed.type === "confirmed");
    const more = up.subarray(-1);
    const rest = concat(confirmed.rest, ...confirmed.codec ? confirmed.codec.open(more) : [more]);
    assertEquals(rest.toHex(), concat(frames, encodeFrame(FRAME.ping, 9)).toHex());
    const sealDown = confirmed.codec ? confirmed.codec.seal.bind(confirmed.codec) : pass;
    const stands = client.receive(sealDown(frames));
    assert(stands.type === "stands");
    assertEquals(stands.rest.toHex(), frames.toHex());
    assertThrows(() => client.receive(more), Error, "Cannot go on with a handshake: it is over");
    assertThrows(() => server.receive(more), Error, "Cannot go on with a handshake: it is over");
  });
}

Deno.test("both keep to the smaller of what both wish", () => {
  const cases = [
    [{ window: 65_536, expiry: 5, keepalive: 0 }, { window: 65_536, expiry: 5, keepalive: 15_000 }],
    [{ window: 67_108_864, expiry: 2 ** 32 - 1, keepalive: 20_000 }, TERMS],
    [{ window: 70_000, expiry: 200_000, keepalive: 9 }, { window: 70_000, expiry: 120_000, keepalive: 9 }],
  ] as const;
  for (const [wishes, granted] of cases) {
    assertEquals(establish(new Sessions(), { wishes }).terms, granted);
  }
});

Deno.test("a session that was offered and not confirmed is resumed as any", () => {
  const sessions = new Sessions();
  const client = new ClientHandshake({ wishes: TERMS });
  const lost = talk(client, sessions.accept(), { up: (bytes, n) => n === 1 ? new Uint8Array(0) : bytes });
  assert(lost.client?.type === "ready" && lost.client.session);
  assertEquals(sessions.of(lost.client.session).epoch, 0);
  const resumed = talk(resuming(lost.client.session, 2), sessions.accept());
  assertEquals(resumed.steps, ["client ready", "server confirmed"]);
});

Deno.test("a client learns that its CONFIRM was refused, also when the answer comes in pieces", () => {
  for (const [way, seal] of Object.entries(WAYS)) {
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client });
    const client = resuming(session, 2, { seal: seal.client });
    const { steps, server } = talk(client, sessions.accept(), {
      cut: 1,
      up(bytes, n) {
        if (n === (seal.client ? 2 : 1)) sessions.of(session).epoch = 2;
        return bytes;
      },
    });
    assertEquals(steps, ["client ready", "server failed", "client failed"], way);
    assert(server?.type === "failed");
    assertEquals(server.failure.message, "a later carrier is the current one");
  }
});

Deno.test("a session that goes while its client resumes is refused", () => {
  const sessions = new Sessions();
  const session = establish(sessions);
  const down = (bytes: Uint8Array): Uint8Array => {
    sessions.kept.clear();
    return bytes;
  };
  const gone = talk(resuming(session, 2), sessions.accept(), { down });
  assertEquals(gone.steps, ["client ready", "server failed", "client failed"]);
  const kept = new Sessions();
  const other = establish(kept);
  const expire = (bytes: Uint8Array): Uint8Array => {
    kept.of(other).rejection = { code: 3 };
    return bytes;
  };
  const expired = talk(resuming(other, 2), kept.accept(), { down: expire });
  assert(expired.client?.type === "failed");
  assertEquals(expired.client.failure.rejection, { code: 3, wait: 0, text: "" });
});

Deno.test("a server says no to a greeting, with a reason and a time to wait", () => {
  const busy = { code: 2, wait: 1500, text: "too many at once" };
  for (const [way, seal] of Object.entries(WAYS)) {
    const seen: unknown[] = [];
    const sessions = new Sessions({
      seal: seal.server,
      refuse({ greeting, client }) {
        seen.push([new TextDecoder().decode(greeting), client]);
        return busy;
      },
    });
    const greeting = new TextEncoder().encode("echo");
    const client = new ClientHandshake({ wishes: TERMS, seal: seal.client, greeting });
    const refused = talk(client, sessions.accept());
    assert(refused.client?.type === "failed");
    assertEquals(refused.client.failure, {
      reason: "rejected",
      message: "the server refused: busy",
      rejection: busy,
    });
    assertEquals(seen, [["echo", way === "pinned key" ? CLIENT.publicKey : null]]);
    assertEquals(sessions.kept.size, 0);
  }
});

Deno.test("a client that is not let in is told so, after it has proven who it is", () => {
  for (const admit of [() => false, (client: Uint8Array | null) => client !== null]) {
    const sessions = new Sessions({ seal: { identity: SERVER, sharedKey: SHARED, admit } });
    const client = new ClientHandshake({ wishes: TERMS, seal: { sharedKey: SHARED } });
    const refused = talk(client, sessions.accept());
    assert(refused.client?.type === "failed");
    assertEquals(refused.client.failure.rejection?.code, 6);
    assertEquals(sessions.kept.size, 0);
  }
});

Deno.test("a sealed end and an open one find out what is wrong", () => {
  const [open, shared] = [WAYS.open, WAYS["shared key"]];
  for (const [client, server] of [[open, shared], [shared, open]] as const) {
    const handshake = new ClientHandshake({ wishes: TERMS, seal: client?.client });
    const heard = talk(handshake, new Sessions({ seal: server?.server }).accept());
    assertEquals([failureOf(heard.server), failureOf(heard.client)], ["mode", "mode"]);
    assertEquals(heard.down.map((bytes) => bytes.length), [12]);
  }
});

Deno.test("ends without a version in common find out what is wrong", () => {
  for (const versions of [[2, 3], [0, 0], [3, 1]] as const) {
    const server = new Sessions().accept();
    const [lowest, highest] = versions;
    const step = server.receive(encodePreface({ mode: 0, lowest, highest }));
    assert(step.type === "failed");
    assertEquals(step.failure.reason, "version");
    assertEquals(step.send, encodePreface({ mode: 0, lowest: 1, highest: 1 }));
    const client = new ClientHandshake({ wishes: TERMS });
    client.start();
    assertEquals(failureOf(client.receive(encodePreface({ mode: 0, lowest, highest }))), "version");
  }
});

Deno.test("a range that holds version 1 is answered by it", () => {
  const client = new ClientHandshake({ wishes: TERMS });
  const first = client.start().slice();
  first.set(encodePreface({ mode: 0, lowest: 1, highest: 9 }));
  const step = new Sessions().accept().receive(first);
  assert(step.type === "welcomed");
  assertEquals(step.send.subarray(0, 12), encodePreface({ mode: 0, lowest: 1, highest: 1 }));
});

Deno.test("a client takes nothing that it did not ask for", () => {
  const wishes = { window: 70_000, expiry: 1000, keepalive: 100 };
  const offsets = {
    window: 12 + 12 + 84,
    expiry: 12 + 12 + 88,
    keepalive: 12 + 12 + 92,
    features: 12 + 12 + 80,
  };
  for (const [name, offset] of Object.entries(offsets)) {
    const client = new ClientHandshake({ wishes });
    const { client: step } = talk(client, new Sessions().accept(), {
      down(bytes) {
        const changed = bytes.slice();
        new DataView(changed.buffer).setUint32(offset, 0x20000);
        return changed;
      },
    });
    assertEquals(failureOf(step), "violation", name);
  }
});

Deno.test("a refusal of an unknown code is taken for the plain one", () => {
  for (const code of [0, 7, 3, 4, 5]) {
    const client = new ClientHandshake({ wishes: TERMS });
    client.start();
    const reject = concat(encodeReject({ code, wait: 9, text: "x" }), new Uint8Array(32));
    const step = client.receive(concat(encodePreface({ mode: 0, lowest: 1, highest: 1 }), reject));
    assert(step.type === "failed");
    assertEquals(step.failure.rejection, { code: 1, wait: 0, text: "" }, `${code}`);
  }
});

Deno.test("a caller's mistakes are said at once", () => {
  const wrong: readonly (readonly [() => unknown, typeof RangeError | typeof TypeError, string])[] = [
    [
      () => new ClientHandshake({ wishes: { ...TERMS, window: 1 } }),
      RangeError,
      "Cannot wish for a window of 1: it must be an integer, 65536 to 67108864",
    ],
    [
      () => new ServerHandshake({ limits: { ...TERMS, expiry: 2 ** 32 }, find: () => undefined }),
      RangeError,
      "Cannot wish for a expiry of 4294967296",
    ],
    [
      () => new ClientHandshake({ wishes: { ...TERMS, keepalive: 0.5 } }),
      RangeError,
      "Cannot wish for a keepalive of 0.5",
    ],
    [
      () => new ClientHandshake({ wishes: TERMS, greeting: new Uint8Array(257) }),
      RangeError,
      "Cannot greet with 257 bytes: 256 at most",
    ],
    [
      () => resuming({ id: SHARED, clientKey: SHARED, serverKey: SHARED }, 2 ** 32),
      RangeError,
      "Cannot resume with epoch 4294967296",
    ],
    [() => new ClientHandshake({ wishes: TERMS, seal: {} }), TypeError, "Cannot seal: neither a shared key"],
    [
      () => new ClientHandshake({ wishes: TERMS, seal: { sharedKey: new Uint8Array(16) } }),
      TypeError,
      "Cannot seal with a key of 16 bytes: it must have 32",
    ],
    [() => new Sessions({ seal: {} }).accept(), TypeError, "Cannot seal: neither a shared key"],
    [
      () => new Sessions({ seal: { identity: SERVER } }).accept(),
      TypeError,
      "Cannot seal: without a shared key it must be said who is let in",
    ],
  ];
  for (const [attempt, type, message] of wrong) assertThrows(attempt, type, message);
  const client = new ClientHandshake({ wishes: TERMS });
  assertThrows(() => client.receive(SHARED), Error, "Cannot go on with a handshake: it is new");
  client.start();
  assertThrows(() => client.start(), Error, "Cannot begin a handshake twice");
});
