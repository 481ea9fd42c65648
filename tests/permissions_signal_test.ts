import { assertEquals } from "@std/assert";
import { runCode } from "./_code.ts";

/** A broker, and a link to it that gets what it sends. */
const CODE = `
import { mqtt } from "#/signal/mqtt.ts";
import { startBroker } from "#/signal/embedded.ts";
await using broker = await startBroker();
const up = Promise.withResolvers();
const come = Promise.withResolvers();
const open = (topics, onState, onMessage) => {
  const link = mqtt(broker.url).open({});
  link.onState = onState;
  link.onMessage = onMessage;
  topics.forEach((topic) => link.subscribe(topic));
  return link;
};
await using receiver = open(["a"], (state, reason) => state === "up" ? up.resolve() : up.reject(reason), (topic, bytes) => come.resolve(bytes));
await up.promise;
await using sender = open([], (state) => state === "up" && sender.publish("a", new TextEncoder().encode("hello")));
console.log(new TextDecoder().decode(await come.promise));`;

Deno.test("brokers need the permission net for their addresses, and no other; the environment is not looked at", async () => {
  for (const env of [[], ["--ignore-env"]]) {
    const result = await runCode(CODE, { flags: ["--no-prompt", "--allow-net=127.0.0.1", ...env] });
    assertEquals(result, { code: 0, stdout: "hello\n", stderr: "" });
  }
});

Deno.test("a link without the permission stops, and names the flag", async () => {
  const code = `
import { mqtt } from "#/signal/mqtt.ts";
const link = mqtt("mqtt://127.0.0.1:9").open({});
link.onState = (state, reason) => console.log(state, reason.flags[0].startsWith("--allow-net"));`;
  const result = await runCode(code, { flags: ["--no-prompt"] });
  assertEquals(result, { code: 0, stdout: "stopped true\n", stderr: "" });
});
