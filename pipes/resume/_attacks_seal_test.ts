/** What somebody between both ends of a sealed carrier can do, or an end that is not who it says: nothing. */

import { assert, assertEquals } from "@std/assert";
import {
  CLIENT,
  establish,
  failureOf,
  pair,
  resuming,
  secret,
  SERVER,
  Sessions,
  SHARED,
  talk,
  TERMS,
  WAYS,
} from "../../tests/_handshakes.ts";
import { ClientHandshake } from "./_client_handshake.ts";
import { concat, type RandomBytes } from "./_keys.ts";

Deno.test("18 no two carriers have the same keys, even where the client's randomness repeats", () => {
  const stuck: RandomBytes = (length) => new Uint8Array(length).fill(7);
  for (const [way, seal] of Object.entries(WAYS)) {
    if (!seal.client) continue;
    const sessions = new Sessions({ seal: seal.server });
    const session = establish(sessions, { seal: seal.client, random: stuck });
    const seen = new Set<string>();
    const plain = new Uint8Array(100);
    for (let epoch = 2; epoch < 10; epoch++) {
      const { client, server } = talk(
        resuming(session, epoch, { seal: seal.client, random: stuck }),
        sessions.accept(),
      );
      assert(client?.type === "ready" && server?.type === "confirmed");
      for (const codec of [client.codec, server.codec]) {
        // Each record of the same bytes looks different: no nonce came twice with its key.
        for (let n = 0; n < 3; n++) seen.add(codec?.seal(plain).toHex() ?? "");
      }
    }
    assertEquals(seen.size, 8 * 2 * 3, way);
  }
});

Deno.test("a man in the middle who swaps keys is refused", () => {
  const thief = pair("thief");
  const sessions = new Sessions({ seal: { sharedKey: secret("guess"), identity: thief, admit: () => true } });
  // He plays the server, with a key of his own, and with another shared key.
  for (const way of ["shared key", "pinned key"] as const) {
    const { client, server } = talk(
      new ClientHandshake({ wishes: TERMS, seal: WAYS[way]?.client }),
      sessions.accept(),
    );
    assertEquals([failureOf(client), server?.type], ["seal", "wait"], way);
  }
  const known = new Sessions({ seal: { identity: thief, admit: () => true } });
  const pinned = talk(
    new ClientHandshake({ wishes: TERMS, seal: WAYS["pinned key"]?.client }),
    known.accept(),
  );
  assertEquals([failureOf(pinned.client), pinned.server?.type], ["identity", "wait"]);
  // Nothing of the client, not even who it is, is sent to him.
  assertEquals(pinned.up.length, 1);
  // He shows the server's true record, or its public key without its signature.
  const lying = new Sessions({
    seal: { identity: { seed: thief.seed, publicKey: SERVER.publicKey }, admit: () => true },
  });
  const lied = talk(new ClientHandshake({ wishes: TERMS, seal: WAYS["pinned key"]?.client }), lying.accept());
  assertEquals([failureOf(lied.client), lied.up.length], ["identity", 1]);
  // He swaps the keys of the exchange on the way, and has to guess the rest.
  for (const direction of ["up", "down"] as const) {
    for (const [way, seal] of Object.entries(WAYS)) {
      if (!seal.client) continue;
      const swapped = talk(
        new ClientHandshake({ wishes: TERMS, seal: seal.client }),
        new Sessions({ seal: seal.server }).accept(),
        {
          [direction]: (bytes: Uint8Array, n: number) =>
            n === 0 ? concat(bytes.subarray(0, 12), thief.publicKey, bytes.subarray(44)) : bytes,
        },
      );
      assertEquals([failureOf(swapped.client), swapped.up.length], ["seal", 1], `${way}, ${direction}`);
    }
  }
});

Deno.test("a server without the pinned key cannot pass as nobody in particular", () => {
  const client = new ClientHandshake({
    wishes: TERMS,
    seal: { sharedKey: SHARED, serverKeys: [SERVER.publicKey] },
  });
  const nobody = talk(client, new Sessions({ seal: { sharedKey: SHARED } }).accept());
  assertEquals(failureOf(nobody.client), "identity");
});

Deno.test("a client cannot show a key that it does not have", () => {
  const seen: unknown[] = [];
  const admit = (client: Uint8Array | null): boolean => seen.push(client) > 0;
  const liar = { seed: secret("thief"), publicKey: CLIENT.publicKey };
  const { server } = talk(
    new ClientHandshake({ wishes: TERMS, seal: { serverKeys: [SERVER.publicKey], identity: liar } }),
    new Sessions({ seal: { identity: SERVER, admit } }).accept(),
  );
  assertEquals([failureOf(server), seen], ["identity", []]);
});

Deno.test("keys of low order are refused, by both ends, open and sealed", () => {
  const low = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ].map((hex) => Uint8Array.fromHex(hex));
  for (const [way, seal] of Object.entries(WAYS)) {
    const reason = seal.client ? "seal" : "violation";
    // Behind the preface, or the header and the id or nonce before the key.
    const places = seal.client ? { up: 12, down: 12 } : { up: 12 + 12 + 32, down: 12 + 12 + 16 + 32 };
    for (const direction of ["up", "down"] as const) {
      for (const key of low) {
        const at = places[direction];
        const heard = talk(
          new ClientHandshake({ wishes: TERMS, seal: seal.client }),
          new Sessions({ seal: seal.server }).accept(),
          {
            [direction]: (bytes: Uint8Array, n: number) =>
              n === 0 ? concat(bytes.subarray(0, at), key, bytes.subarray(at + 32)) : bytes,
          },
        );
        const end = direction === "up" ? heard.server : heard.client;
        assertEquals(failureOf(end), reason, `${way}, ${direction}, ${key.toHex()}`);
      }
    }
  }
});

Deno.test("no failure of a handshake tells a secret", () => {
  const secrets = [SHARED, SERVER.seed, CLIENT.seed];
  const texts: string[] = [];
  for (const [name, seal] of Object.entries(WAYS)) {
    for (const [other, against] of Object.entries(WAYS)) {
      if (name === other) continue;
      const { client, server } = talk(
        new ClientHandshake({ wishes: TERMS, seal: seal.client }),
        new Sessions({ seal: against.server }).accept(),
      );
      assert(client?.type === "failed" || server?.type === "failed", `${name} against ${other}`);
      texts.push(
        Deno.inspect([client, server], { depth: 9, iterableLimit: 999 }),
        JSON.stringify([client, server]),
      );
    }
  }
  for (const text of texts) {
    for (const bytes of secrets) {
      assertEquals(text.includes(bytes.toHex().slice(0, 8)), false);
      assertEquals(text.includes(bytes.subarray(0, 4).join(", ")), false);
    }
  }
});
