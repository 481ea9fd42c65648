/** What brokers say and do that no real one does on demand: each refusal has its own consequence. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { networkKey } from "../recover/network_key.ts";
import { mqtt } from "../signal/mqtt.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { ObservedLink } from "./_broker_states.ts";
import { accepting, connack, packet, publish, ScriptedBroker, text } from "./_mqtt_script.ts";
import { TestView, viewState } from "./_view.ts";

/** Lets time pass until something is so; what happens on sockets happens between the steps. */
async function passing(clock: FakeClock, condition: () => boolean, step = 50): Promise<number> {
  const start = clock.monotonic();
  while (!condition()) await clock.tickAsync(step);
  return clock.monotonic() - start;
}

Deno.test("who is banned stays away, for good", async () => {
  for (const [code, words] of [[0x8a, "banned"], [0x86, "login"], [0x87, "login"]] as const) {
    await using broker = new ScriptedBroker(({ type }) => type === 1 ? [connack(code)] : []);
    const clock = new FakeClock();
    await using link = new ObservedLink(mqtt(broker.url), { clock });
    await passing(clock, () => link.link.state === "stopped");
    assertStringIncludes(link.reason?.message ?? "", words);
    link.link.probe();
    await clock.tickAsync(3_600_000);
    assertEquals(broker.connections, 1);
  }
});

Deno.test("a broker that is busy is left alone for 5 seconds at least, whoever asks", async () => {
  await using broker = new ScriptedBroker((one, connection) =>
    one.type === 1 && connection === 0 ? [connack(0x89)] : accepting(one)
  );
  const clock = new FakeClock();
  await using link = new ObservedLink(mqtt(broker.url), { clock });
  await passing(clock, () => link.link.state === "down");
  link.link.probe();
  const waited = await passing(clock, () => link.link.state === "up");
  assert(waited >= 4950, `waited for ${waited} ms`);
  assertEquals(link.states, ["down", "up"]);
});

Deno.test("a broker that names another one is followed there", async () => {
  await using other = new ScriptedBroker((one) => accepting(one));
  const reference = text(`127.0.0.1:${other.port}`);
  for (const code of [0x9c, 0x9d]) {
    await using broker = new ScriptedBroker(() => [connack(code, Uint8Array.from([0x1c, ...reference]))]);
    await using link = new ObservedLink(mqtt(broker.url));
    await link.reaches("up");
    assertEquals([broker.connections, link.link.address], [1, "127.0.0.1"]);
  }
  assertEquals(other.connections, 2);
});

Deno.test("brokers that name each other are followed three times, and then left alone for a while", async () => {
  const { promise: ports, resolve } = Promise.withResolvers<readonly [number, number]>();
  let known: readonly [number, number] = [0, 0];
  const moved =
    (to: 0 | 1) => () => [connack(0x9c, Uint8Array.from([0x1c, ...text(`127.0.0.1:${known[to]}`)]))];
  await using a = new ScriptedBroker(moved(1));
  await using b = new ScriptedBroker(moved(0));
  resolve([a.port, b.port]);
  known = await ports;
  const clock = new FakeClock();
  await using link = new ObservedLink(mqtt(a.url), { clock });
  await passing(clock, () => a.connections + b.connections === 4);
  await clock.tickAsync(4900);
  assertEquals([a.connections, b.connections, link.link.state], [2, 2, "down"]);
});

Deno.test("a broker that is sent too much gets less from then on", async () => {
  let published = 0;
  await using broker = new ScriptedBroker((one, connection) => {
    if (one.type === 3 && connection === 0) return [packet(0xe0, 0x97, 0)];
    if (one.type === 3) published++;
    return accepting(one, false);
  });
  const clock = new FakeClock();
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), { clock });
  await passing(clock, () => link.link.state === "up");
  assertEquals(link.publish("a", "one too many"), true);
  await passing(clock, () => link.link.state === "down");
  assertStringIncludes(link.reason?.message ?? "", "sent too much (code 0x97)");
  await passing(clock, () => link.link.state === "up");
  const taken = Array.from({ length: 100 }, () => link.publish("a", "more")).filter(Boolean).length;
  assertEquals(taken, 20);
  await clock.tickAsync(1000);
  assertEquals(Array.from({ length: 100 }, () => link.publish("a", "more")).filter(Boolean).length, 5);
  await passing(clock, () => published === 25);
});

Deno.test("a broker that acknowledges and does not deliver is found out, and believed again when it does deliver", async () => {
  let delivers = false;
  await using broker = new ScriptedBroker((one) => accepting(one, delivers));
  const clock = new FakeClock();
  await using link = new ObservedLink(mqtt(broker.url), { clock }, ["a"]);
  await passing(clock, () => link.link.state === "up");
  const noticed = await passing(clock, () => link.link.state === "down");
  assert(noticed <= 10_000, `noticed after ${noticed} ms`);
  assertStringIncludes(link.reason?.message ?? "", "acknowledges messages and does not deliver them");
  // From now on it has to prove itself first.
  await passing(clock, () => broker.connections >= 4);
  assertEquals(link.states, ["up", "down"]);
  delivers = true;
  await passing(clock, () => link.link.state === "up");
});

Deno.test("a broker of version 3.1.1 is spoken to in 3.1.1, however it refuses version 5", async () => {
  const refusals = [[packet(0x20, 0, 1)], [connack(0x84)], null];
  for (const refusal of refusals) {
    const versions: number[] = [];
    await using broker = new ScriptedBroker(({ type, body }) => {
      const id = body.subarray(0, 2);
      if (type === 1) {
        const version = body[6] ?? 0;
        versions.push(version);
        return version === 5 ? refusal : [packet(0x20, 0, 0)];
      }
      if (type === 8) return [packet(0x90, id, 0)];
      if (type === 12) return [packet(0xd0)];
      return [];
    });
    await using link = new ObservedLink(mqtt(broker.url, { canary: null }), {}, ["a"]);
    await link.reaches("up");
    assertEquals([versions, link.states], [[5, 4], ["up"]]);
  }
});

Deno.test("a packet that is too long ends the connection when its header comes", async () => {
  await using broker = new ScriptedBroker((one) =>
    one.type === 8 ? [...accepting(one), Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)] : accepting(one)
  );
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), {}, ["a"]);
  await link.reaches("down");
  assertStringIncludes(link.reason?.message ?? "", "a packet has 268435455 bytes, and 262144 are allowed");
});

Deno.test("messages at QoS 2, which nobody asked for, end the connection", async () => {
  await using broker = new ScriptedBroker((one) =>
    one.type === 8 ? [...accepting(one), packet(0x34, text("a"), 0, 1, 0, 65)] : accepting(one)
  );
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), {}, ["a"]);
  await link.reaches("down");
  assertStringIncludes(link.reason?.message ?? "", "a message came at QoS 2, and 0 was asked for");
});

Deno.test("messages of topics that nobody wants are not told", async () => {
  await using broker = new ScriptedBroker((one) =>
    one.type === 8 ? [...accepting(one), publish("b", "unasked"), publish("a", "asked")] : accepting(one)
  );
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), {}, ["a"]);
  await link.until(() => link.messages.length > 0);
  assertEquals(link.messages, ["a asked"]);
});

Deno.test("the broker's limit of a packet is known, and kept to", async () => {
  const limit = Uint8Array.of(0x27, 0, 0, 4, 0);
  await using broker = new ScriptedBroker((one) =>
    one.type === 1 ? [connack(0, limit)] : accepting(one, false)
  );
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }));
  await link.reaches("up");
  assertEquals(link.link.maxPacket, 1024);
  const room = 1024 - 128 - 8;
  assertEquals(link.publish("t".repeat(128), "x".repeat(room)), true);
  assertEquals(link.publish("t".repeat(128), "x".repeat(room + 1)), false);
});

Deno.test("the will of a client goes with its CONNECT, and its name is another one each time", async () => {
  const connects: Uint8Array[] = [];
  await using broker = new ScriptedBroker((one, connection) => {
    if (one.type === 1) connects.push(one.body);
    return one.type === 1 && connection === 0 ? null : accepting(one);
  });
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }));
  link.link.setWill?.("wills", new TextEncoder().encode("gone"));
  await link.reaches("up");
  const [first, second] = connects.map((body) => new TextDecoder("latin1").decode(body));
  for (const one of [first, second]) assertStringIncludes(one ?? "", "\0\x05wills\0\x04gone");
  const names = [first, second].map((one) => /hf[0-9a-v]{20}/.exec(one ?? "")?.[0]);
  assert(names[0] !== undefined && names[1] !== undefined && names[0] !== names[1]);
});

Deno.test("a link that closes says DISCONNECT, also while a message to ourselves is on its way", async () => {
  const goodbye = Promise.withResolvers<void>();
  const canary = Promise.withResolvers<void>();
  await using broker = new ScriptedBroker((one) => {
    if (one.type === 14) goodbye.resolve();
    if (one.type !== 3) return accepting(one);
    canary.resolve();
    return [];
  });
  const link = new ObservedLink(mqtt(broker.url));
  await link.reaches("up");
  await canary.promise;
  await link.link[Symbol.asyncDispose]();
  await goodbye.promise;
});

Deno.test("a change of the network is a reason to look at once whether the broker lives", async () => {
  await using broker = new ScriptedBroker((one) => one.type === 12 ? [] : accepting(one));
  const clock = new FakeClock();
  const network = new TestView();
  // It follows each view it has seen for as long as that lives.
  networkKey(network);
  const kept = network.subscribers;
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), { clock, network });
  await passing(clock, () => link.link.state === "up");
  network.change(viewState("198.51.100.1"), "advised");
  const noticed = await passing(clock, () => link.link.state === "down");
  assert(noticed >= 1450 && noticed <= 1600, `noticed after ${noticed} ms`);
  await link.link[Symbol.asyncDispose]();
  assertEquals(network.subscribers, kept);
});

Deno.test("a link waits for the network, and burns no attempt without it", async () => {
  const clock = new FakeClock();
  const network = new TestView(viewState(null));
  // Nothing is sent to it: 203.0.113.0/24 is for documentation.
  await using link = new ObservedLink(mqtt("mqtt://203.0.113.9"), { clock, network });
  await clock.tickAsync(600_000);
  assertEquals(link.states, []);
});

Deno.test("a link whose signal is aborted closes by itself", async () => {
  await using broker = new ScriptedBroker((one) => accepting(one));
  const controller = new AbortController();
  await using link = new ObservedLink(mqtt(broker.url), { signal: controller.signal });
  await link.reaches("up");
  controller.abort();
  await link.reaches("stopped");
  await using never = new ObservedLink(mqtt(broker.url), { signal: controller.signal });
  await never.reaches("stopped");
  assertEquals(broker.connections, 1);
});

Deno.test("a handler that throws harms nobody", async () => {
  await using broker = new ScriptedBroker((one) =>
    one.type === 8 ? [...accepting(one), publish("a", "1"), publish("a", "2")] : accepting(one)
  );
  const said: unknown[] = [];
  const note = (...values: unknown[]): void => void said.push(values[0]);
  const logger = { debug() {}, info() {}, warn() {}, error: note, critical: note };
  await using link = new ObservedLink(mqtt(broker.url, { canary: null }), { logger }, ["a"]);
  const { onMessage } = link.link;
  link.link.onMessage = (topic, payload) => {
    onMessage?.(topic, payload);
    throw new Error("of the handler");
  };
  await link.until(() => link.messages.length === 2);
  assertEquals(link.messages, ["a 1", "a 2"]);
  await link.until(() => said.length === 2);
});
