import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ObservedLink } from "../tests/_broker_states.ts";
import { startCode } from "../tests/_code.ts";
import { Mosquitto } from "../tests/_mosquitto.ts";
import { requires } from "../tests/_require.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { mqtt } from "./mqtt.ts";

const REAL = requires({ tools: ["mosquitto"] });

Deno.test("mqtt() takes options that make sense, and no others", () => {
  const bad: readonly (() => unknown)[] = [
    () => mqtt("http://a.example"),
    () => mqtt("mqtt://a.example", { keepalive: 0 }),
    () => mqtt("mqtt://a.example", { connectTimeout: 0 }),
    () => mqtt("mqtt://a.example", { maxIncoming: 1 }),
    () => mqtt("mqtt://a.example", { canary: "a/#" }),
    () => mqtt("mqtt://a.example", { rate: { perSecond: 0, burst: 1 } }),
  ];
  for (const make of bad) {
    const error = assertThrows(make, Error);
    assertEquals(error instanceof TypeError || error instanceof RangeError, true);
    assertStringIncludes(error.message, "Cannot use a broker: ");
  }
});

Deno.test({
  name: "a link carries messages between two clients of mosquitto, and closes without a trace",
  ...REAL,
  async fn() {
    await using broker = await Mosquitto.start();
    await using alice = new ObservedLink(mqtt(broker.url), {}, ["to/alice"]);
    await using bob = new ObservedLink(mqtt(broker.url), {}, ["to/bob"]);
    assertEquals(alice.link.state, "connecting");
    assertEquals(alice.publish("to/bob", "too early"), false);
    await Promise.all([alice.reaches("up"), bob.reaches("up")]);
    assertEquals([alice.link.address, bob.link.address], ["127.0.0.1", "127.0.0.1"]);
    assertEquals(alice.publish("to/bob", "hello"), true);
    await bob.until(() => bob.messages.length > 0);
    assertEquals(bob.publish("to/alice", "hello yourself"), true);
    await alice.until(() => alice.messages.length > 0);
    assertEquals([bob.messages, alice.messages], [["to/bob hello"], ["to/alice hello yourself"]]);

    bob.link.subscribe("more");
    bob.publish("more", "of our own: not sent back");
    alice.publish("more", "while up");
    await bob.until(() => bob.messages.length > 1);
    bob.link.unsubscribe("to/bob");
    bob.link.subscribe("last");
    alice.publish("to/bob", "not wanted any more");
    alice.publish("last", "one");
    await bob.until(() => bob.messages.length > 2);
    assertEquals(bob.messages.slice(1), ["more while up", "last one"]);

    await bob.link[Symbol.asyncDispose]();
    await bob.link[Symbol.asyncDispose]();
    assertEquals([bob.states, bob.publish("to/alice", "too late")], [["up", "stopped"], false]);
  },
});

Deno.test({
  name:
    "a link comes back when mosquitto is killed and started empty, and tells so when its topics are there again",
  ...REAL,
  async fn() {
    await using broker = await Mosquitto.start();
    await using link = new ObservedLink(mqtt(broker.url), {}, ["a", "b"]);
    await link.reaches("up");
    for (let round = 0; round < 3; round++) {
      await broker.kill();
      await link.reaches("down");
      assertEquals(link.publish("a", "lost"), false);
      await broker.start();
      link.link.probe();
      await link.reaches("up");
      // At the moment in which it is up, another client's message arrives.
      await using other = new ObservedLink(mqtt(broker.url));
      await other.reaches("up");
      other.publish("a", `a${round}`);
      other.publish("b", `b${round}`);
      await link.until(() => link.messages.length === 2 * round + 2);
    }
    assertEquals(link.messages, ["a a0", "b b0", "a a1", "b b1", "a a2", "b b2"]);
    assertEquals(link.states, ["up", "down", "up", "down", "up", "down", "up"]);
  },
});

Deno.test({
  name: "a broker that stands still is noticed within 10 seconds, and one failure is logged once",
  ...REAL,
  async fn() {
    await using broker = await Mosquitto.start();
    const clock = new FakeClock();
    const warnings: string[] = [];
    const note = (message: string): void => void warnings.push(message);
    const logger = { debug() {}, info: note, warn: note, error: note, critical: note };
    await using link = new ObservedLink(mqtt(broker.url, { canary: null }), { clock, logger }, ["a"]);
    await link.reaches("up");
    broker.stop();
    await clock.tickAsync(8499);
    assertEquals(link.link.state, "up");
    await clock.tickAsync(1);
    await link.reaches("down");
    assertStringIncludes(link.reason?.message ?? "", "it has been silent for 3500 ms");
    // Attempts that get no answer, one after the other.
    for (let second = 0; second < 120; second++) await clock.tickAsync(1000);
    assertEquals(warnings, [link.reason?.message]);
    broker.resume();
    // Only what lets the next attempt begin: the broker answers it in its own time.
    while (link.link.state === "down") await clock.tickAsync(100);
    await link.reaches("up");
    assertEquals(warnings.slice(1), [`The broker ${broker.url} is back`]);
  },
});

Deno.test({
  name: "a wrong login ends a link, a right one does not, and neither is shown",
  ...REAL,
  async fn() {
    const hashed = await passwords({ me: "s3cret-of-mine" });
    const options = {
      config: ["password_file {dir}/passwords"],
      files: { passwords: hashed },
      anonymous: false,
    };
    await using broker = await Mosquitto.start(options);
    const login = { username: "me", password: "s3cret-of-mine" };
    await using good = new ObservedLink(mqtt(broker.url, login));
    await good.reaches("up");
    const withLogin = broker.url.replace("//", "//me:s3cret-of-mine@");
    await using inUrl = new ObservedLink(mqtt(withLogin));
    await inUrl.reaches("up");
    await using bad = new ObservedLink(mqtt(broker.url, { username: "me", password: "s3cret-of-others" }));
    await using none = new ObservedLink(mqtt(broker.url));
    for (const link of [bad, none]) {
      await link.reaches("stopped");
      assertStringIncludes(link.reason?.message ?? "", "the broker refuses this login");
      assertEquals(Deno.inspect(link.reason, { depth: 9 }).includes("s3cret"), false);
    }
    assertEquals(Deno.inspect(mqtt(withLogin), { depth: 9 }).includes("s3cret"), false);
  },
});

Deno.test({
  name: "TLS is verified: an authority that is trusted, the right name, and nothing else",
  ...REAL,
  async fn() {
    const authority = await makeTestAuthority();
    const { cert, key } = await authority.issue({ names: ["localhost"] });
    const config = ["certfile {dir}/cert.pem", "keyfile {dir}/key.pem"];
    await using broker = await Mosquitto.start({ config, files: { "cert.pem": cert, "key.pem": key } });
    const tls = { caCerts: [authority.cert] };
    await using good = new ObservedLink(mqtt(`mqtts://localhost:${broker.port}`, { tls }), {}, ["a"]);
    await good.reaches("up");
    await using named = new ObservedLink(
      mqtt(`mqtts://127.0.0.1:${broker.port}`, { tls: { ...tls, serverName: "localhost" } }),
    );
    await named.reaches("up");
    named.publish("a", "over TLS");
    await good.until(() => good.messages.length > 0);
    for (
      const broken of [
        mqtt(`mqtts://localhost:${broker.port}`),
        mqtt(`mqtts://127.0.0.1:${broker.port}`, { tls }),
      ]
    ) {
      await using link = new ObservedLink(broken);
      await link.reaches("down");
      assertEquals(link.states, ["down"]);
      assertStringIncludes(link.reason?.message ?? "", "certificate");
    }
  },
});

Deno.test({
  name: "WebSocket carries the same, with and without TLS",
  ...REAL,
  async fn() {
    const authority = await makeTestAuthority();
    const { cert, key } = await authority.issue({ names: ["localhost"] });
    const secure = ["certfile {dir}/cert.pem", "keyfile {dir}/key.pem"];
    const files = { "cert.pem": cert, "key.pem": key };
    for (const [scheme, config] of [["ws", []], ["wss", secure]] as const) {
      await using broker = await Mosquitto.start({ config: ["protocol websockets", ...config], files });
      const url = `${scheme}://localhost:${broker.port}/mqtt`;
      const options = { tls: { caCerts: [authority.cert] } };
      await using link = new ObservedLink(mqtt(url, options), {}, ["a"]);
      await using other = new ObservedLink(mqtt(url, options));
      await Promise.all([link.reaches("up"), other.reaches("up")]);
      const long = "x".repeat(9000);
      other.publish("a", long);
      await link.until(() => link.messages.length > 0);
      assertEquals(link.messages, [`a ${long}`]);
      await broker.kill();
      await link.reaches("down");
    }
  },
});

/** A topic that nobody may subscribe. */
const REFUSING = {
  roles: [{
    rolename: "some",
    acls: [
      { acltype: "publishClientSend", topic: "#", allow: true },
      { acltype: "publishClientReceive", topic: "#", allow: true },
      { acltype: "subscribeLiteral", topic: "refused", priority: 1, allow: false },
      { acltype: "subscribePattern", topic: "#", allow: true },
      { acltype: "unsubscribePattern", topic: "#", allow: true },
    ],
  }],
  groups: [{ groupname: "all", roles: [{ rolename: "some" }] }],
  anonymousGroup: "all",
  defaultACLAccess: {
    publishClientSend: false,
    publishClientReceive: false,
    subscribe: false,
    unsubscribe: false,
  },
};

Deno.test({
  name: "a topic that is refused is named, and the others live, also after a reconnect",
  ...REAL,
  async fn() {
    const config = [
      "plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
      "plugin_opt_config_file {dir}/rules.json",
    ];
    await using broker = await Mosquitto.start({ config, files: { "rules.json": JSON.stringify(REFUSING) } });
    await using link = new ObservedLink(mqtt(broker.url), {}, ["a", "refused", "b"]);
    await link.reaches("up");
    assertEquals(link.refused, [["refused", 0x87]]);
    await broker.kill();
    await link.reaches("down");
    await broker.start();
    link.link.probe();
    await link.reaches("up");
    assertEquals(link.refused.length, 2);
    await using other = new ObservedLink(mqtt(broker.url));
    await other.reaches("up");
    for (const topic of ["a", "refused", "b"]) other.publish(topic, "after");
    await link.until(() => link.messages.length > 1);
    assertEquals(link.messages, ["a after", "b after"]);
  },
});

Deno.test({
  name: "the will is published when a client is killed, and not when it says goodbye",
  ...REAL,
  async fn() {
    await using broker = await Mosquitto.start();
    await using seer = new ObservedLink(mqtt(broker.url), {}, ["wills", "end"]);
    await seer.reaches("up");
    {
      await using polite = new ObservedLink(mqtt(broker.url));
      polite.link.setWill?.("wills", new TextEncoder().encode("of the polite one"));
      await polite.reaches("up");
    }
    await using rude = startCode(`
      import { mqtt } from "#/signal/mqtt.ts";
      const link = mqtt("${broker.url}").open({});
      link.setWill("wills", new TextEncoder().encode("of the rude one"));
      link.onState = (state) => console.log(state);`);
    await rude.said("up");
    rude.kill("SIGKILL");
    await seer.until(() => seer.messages.length > 0);
    assertEquals(seer.messages, ["wills of the rude one"]);
  },
});

/** A password file of mosquitto. */
async function passwords(users: Readonly<Record<string, string>>): Promise<string> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, Object.entries(users).map(([name, word]) => `${name}:${word}\n`).join(""));
    const { success } = await new Deno.Command("mosquitto_passwd", { args: ["-U", file] }).output();
    assertEquals(success, true);
    return await Deno.readTextFile(file);
  } finally {
    await Deno.remove(file);
  }
}
