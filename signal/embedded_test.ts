import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ObservedLink } from "../tests/_broker_states.ts";
import { requires } from "../tests/_require.ts";
import { startBroker } from "./embedded.ts";
import { mqtt } from "./mqtt.ts";

Deno.test("the embedded broker carries messages, and leaves nothing when it is closed", async () => {
  const broker = await startBroker();
  {
    await using alice = new ObservedLink(mqtt(broker.url), {}, ["to/alice"]);
    await using bob = new ObservedLink(mqtt(broker.url), {}, ["to/bob"]);
    await Promise.all([alice.reaches("up"), bob.reaches("up")]);
    assertEquals(broker.clients, 2);
    const long = "x".repeat(9000);
    alice.publish("to/bob", long);
    bob.publish("to/alice", "short");
    await Promise.all([alice, bob].map((link) => link.until(() => link.messages.length > 0)));
    assertEquals([alice.messages, bob.messages], [["to/alice short"], [`to/bob ${long}`]]);
    await broker[Symbol.asyncDispose]();
    await Promise.all([alice.reaches("down"), bob.reaches("down")]);
  }
  await broker[Symbol.asyncDispose]();
});

Deno.test("the embedded broker comes back empty on the same port, and links with it", async () => {
  let broker = await startBroker();
  const { port } = broker;
  await using link = new ObservedLink(mqtt(broker.url), {}, ["a"]);
  await link.reaches("up");
  await broker[Symbol.asyncDispose]();
  await link.reaches("down");
  broker = await startBroker({ port });
  link.link.probe();
  await link.reaches("up");
  await using other = new ObservedLink(mqtt(broker.url));
  await other.reaches("up");
  other.publish("a", "after");
  await link.until(() => link.messages.length > 0);
  await broker[Symbol.asyncDispose]();
});

Deno.test("the embedded broker lets its users in, and nobody else", async () => {
  await using broker = await startBroker({ users: { me: "s3cret" } });
  await using good = new ObservedLink(mqtt(broker.url, { username: "me", password: "s3cret" }));
  await good.reaches("up");
  for (
    const login of [{}, { username: "me", password: "s3cre7" }, { username: "me", password: "no" }, {
      username: "__proto__",
      password: "s3cret",
    }]
  ) {
    await using bad = new ObservedLink(mqtt(broker.url, login));
    await bad.reaches("stopped");
    assertStringIncludes(bad.reason?.message ?? "", "the broker refuses this login");
  }
});

Deno.test("the embedded broker ends clients that send too long packets, and goes on", async () => {
  await using broker = await startBroker({ maxPacket: 1024 });
  await using good = new ObservedLink(mqtt(broker.url), {}, ["a"]);
  await using bad = new ObservedLink(mqtt(broker.url));
  await Promise.all([good.reaches("up"), bad.reaches("up")]);
  bad.publish("a", "x".repeat(2000));
  await bad.reaches("down");
  await bad.reaches("up");
  bad.publish("a", "short");
  await good.until(() => good.messages.length > 0);
  assertEquals(good.messages, ["a short"]);
});

Deno.test("the embedded broker sends away whom it has no room for", async () => {
  await using broker = await startBroker({ maxClients: 1 });
  await using first = new ObservedLink(mqtt(broker.url));
  await first.reaches("up");
  await using second = new ObservedLink(mqtt(broker.url));
  await second.reaches("down");
  assertEquals([first.states, broker.clients], [["up"], 1]);
});

Deno.test("the embedded broker refuses a port that is taken, and numbers that make no sense", async () => {
  await using broker = await startBroker();
  await assertRejects(() => startBroker({ port: broker.port }), Deno.errors.AddrInUse);
  await assertRejects(() => startBroker({ port: 65_536 }), RangeError);
  await assertRejects(() => startBroker({ maxPacket: 1 }), RangeError);
});

Deno.test({
  name: "the embedded broker speaks to mosquitto's clients, and keeps nothing for later",
  ...requires({ tools: ["mosquitto_pub"] }),
  async fn() {
    await using broker = await startBroker();
    const pub = async (...args: readonly string[]): Promise<void> => {
      const at = ["-h", "127.0.0.1", "-p", String(broker.port), "-q", "1"];
      const { success } = await new Deno.Command("mosquitto_pub", { args: [...at, ...args] }).output();
      assert(success);
    };
    await pub("-r", "-t", "kept", "-m", "retained");
    // What was retained would come before all that is sent later.
    await using link = new ObservedLink(mqtt(broker.url), {}, ["kept", "from/mosquitto"]);
    await link.reaches("up");
    await pub("-t", "from/mosquitto", "-m", "hello");
    await link.until(() => link.messages.length > 0);
    assertEquals(link.messages, ["from/mosquitto hello"]);
  },
});
