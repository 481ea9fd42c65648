import { assert, assertEquals } from "@std/assert";
import { ClientHandshake } from "./_client_handshake.ts";
import { ServerHandshake } from "./_server_handshake.ts";

const KEYS = { clientKey: new Uint8Array(32).fill(1), serverKey: new Uint8Array(32).fill(2) };
const TERMS = { window: 65_536, expiry: 1000, keepalive: 0 };

Deno.test("CONFIRM says what was received by the time it is asked for, not when the server has answered", () => {
  const id = new Uint8Array(16).fill(3);
  let received = 100;
  const client = new ClientHandshake({
    wishes: TERMS,
    session: { ...KEYS, id, epoch: 2, received: () => received },
  });
  const server = new ServerHandshake({
    find: () => ({ ...KEYS, epoch: 1, received: () => 7 }),
    limits: TERMS,
  });
  const answer = server.receive(client.start());
  assert(answer.type === "wait" && answer.send);
  const ready = client.receive(answer.send);
  assert(ready.type === "ready");
  // What the carrier before brings meanwhile is acknowledged there.
  received = 500;
  const { send } = ready;
  received = 900;
  assertEquals(ready.send, send, "it is made once");
  const confirmed = server.receive(send);
  assert(confirmed.type === "confirmed");
  assertEquals([confirmed.peerReceived, confirmed.epoch, ready.peerReceived], [500, 2, 7]);
});
