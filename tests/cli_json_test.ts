import { assertEquals } from "@std/assert";
import type { TunnelStatus } from "../cli/tunnel_control.ts";
import type { KeyLine } from "../cli/tunnel_key.ts";
import type { TunnelLine } from "../cli/tunnel_report.ts";
import { failureOf } from "../cli/failure.ts";
import { jsonLine } from "../cli/json_line.ts";
import type { NetworkChange, NetworkEvent } from "../watch/events.ts";
import { startStunServer } from "../testing/stun_server.ts";
import { main } from "../cli/main.ts";
import type { PipeAddressLostEvent } from "../pipes/pipe.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";
import { CHANGE, EVENTS, NOTHING, STATE } from "./_samples.ts";
import { checkLines, readSchemas } from "./_json_lines.ts";
import { type Schema, validate } from "./_schema.ts";

type TunnelTypes = TunnelLine["type"] | KeyLine["type"] | TunnelStatus["type"];

/** Every type of line, so that the compiler asks for one that is forgotten. */
const TYPES: Record<
  | (NetworkEvent | NetworkChange)["type"]
  | "state"
  | "external"
  | "wait"
  | "explain"
  | "doctor"
  | "platform"
  | "permissions"
  | "listening"
  | "up"
  | "message"
  | "addresslost"
  | "pipe"
  | "relay"
  | TunnelTypes
  | "routed"
  | "unrouted"
  | "started"
  | "ended"
  | "error",
  true
> = {
  state: true,
  online: true,
  offline: true,
  interfaceadd: true,
  interfaceremove: true,
  interfacechange: true,
  addressadd: true,
  addressremove: true,
  addresschange: true,
  addressconflict: true,
  gatewaychange: true,
  defaultinterfacechange: true,
  routechange: true,
  dnschange: true,
  identitychange: true,
  externalchange: true,
  wake: true,
  backend: true,
  resync: true,
  change: true,
  external: true,
  wait: true,
  explain: true,
  doctor: true,
  platform: true,
  permissions: true,
  listening: true,
  up: true,
  message: true,
  addresslost: true,
  pipe: true,
  relay: true,
  key: true,
  tunnellistening: true,
  tunnel: true,
  tunnelrefused: true,
  tunnelkeys: true,
  tunneltrouble: true,
  tunnelstatus: true,
  routed: true,
  unrouted: true,
  started: true,
  ended: true,
  error: true,
};

const documented = await readSchemas();
const { schemas, defs } = documented;
const shown = new Set<string>();

/** Checks lines and returns their types. */
function check(text: string): string[] {
  const types = checkLines(text, documented).map(({ type }) => type);
  for (const type of types) shown.add(type);
  return types;
}

Deno.test("docs/JSON.md has a schema for every type of line, and for nothing else", () => {
  assertEquals([...schemas.keys()].sort(), Object.keys(TYPES).sort());
});

Deno.test("every schema in docs/JSON.md knows its fields, wants all of them and takes no other", () => {
  for (const schema of new Set(schemas.values())) {
    assertEquals(schema.additionalProperties, false, schema.title);
    assertEquals(
      [...schema.required ?? []].sort(),
      Object.keys(schema.properties ?? {}).sort(),
      schema.title,
    );
  }
});

Deno.test("a line of every event fits its schema", () => {
  for (const event of Object.values(EVENTS)) assertEquals(check(jsonLine(event)), [event.type]);
  assertEquals(check(jsonLine(CHANGE)), ["change"]);
  for (const state of [STATE, NOTHING]) {
    const line = { type: "state", at: state.at, state };
    assertEquals(check(jsonLine(line)), ["state"]);
  }
});

Deno.test("status --json writes one line with the state", async () => {
  const { code, stdout, stderr } = await runMain(["status", "--json"]);
  assertEquals([code, stderr, check(stdout)], [0, "", ["state"]]);
});

Deno.test("doctor --json writes a line per backend and per feature of this system", async () => {
  const { code, stdout, stderr } = await runMain(["doctor", "--json"]);
  const types = check(stdout);
  assertEquals([code, stderr, [...new Set(types)]], [0, "", ["doctor", "platform"]]);
});

Deno.test("permissions --json writes a line per module", async () => {
  const { code, stdout } = await runMain(["permissions", "watch", "--json"]);
  assertEquals([code, check(stdout)], [0, ["permissions"]]);
});

Deno.test("wait --json tells what was reached, and by which address", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const { code, stdout, stderr } = await runMain(["wait", `127.0.0.1:${port}`, "--json"]);
  assertEquals([code, stderr, check(stdout)], [0, "", ["wait"]]);
  const { target, reached, address, attempts } = JSON.parse(stdout);
  assertEquals({ target, reached, address, attempts }, {
    target: `127.0.0.1:${port}`,
    reached: true,
    address: `127.0.0.1:${port}`,
    attempts: 1,
  });
});

Deno.test({
  name: "wait reaches a target without permission to watch, and without asking the gateway",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const { code, stdout } = await runMain(["wait", `127.0.0.1:${port}`, "--json"]);
    assertEquals([code, check(stdout)], [0, ["wait"]]);
    const { steps, families } = JSON.parse(stdout);
    assertEquals([steps.length, steps[0].name, steps[0].outcome, families], [1, "target", "ok", []]);
  },
});

Deno.test("wait --json tells why nothing was reached, and says it to people as well", async () => {
  const { code, stdout, stderr } = await runMain(["wait", "127.0.0.1:1", "--timeout", "100ms", "--json"]);
  assertEquals([code, check(stdout)], [124, ["wait"]]);
  const { reached, address, reason } = JSON.parse(stdout);
  assertEquals([reached, address], [false, null]);
  assertEquals(stderr, `holdfast: Cannot reach 127.0.0.1:1 within 0.1s: ${reason}\n`);
});

Deno.test("explain --json writes a line per scenario, the likeliest first", async () => {
  const { code, stdout, stderr } = await runMain(["explain", "--json", "--os", "linux", "os error 111"]);
  const types = check(stdout);
  assertEquals([code, stderr, [...new Set(types)]], [0, "", ["explain"]]);
  const { scenario, by } = JSON.parse(stdout.split("\n")[0] ?? "");
  assertEquals([scenario, by], ["port-closed", "ECONNREFUSED"]);
});

Deno.test("explain --json --all writes a line for each scenario", async () => {
  const { code, stdout } = await runMain(["explain", "--json", "--all"]);
  assertEquals([code, check(stdout).length], [0, 86]);
});

Deno.test("external --json tells the public address, and what each server said", async () => {
  await using honest = await startStunServer();
  await using silent = await startStunServer({ mode: "silent" });
  // Each way to name a server.
  const args = ["--stun", honest.url, silent.url.replace(/^stun:/, ""), "--timeout", "300ms", "--json"];
  const { code, stdout, stderr } = await runMain(["external", ...args]);
  assertEquals([code, stderr, check(stdout)], [0, "", ["external"]]);
  const { v4, v6, servers } = JSON.parse(stdout);
  assertEquals([v4.address, v4.agreement, v6], ["127.0.0.1", "single", null]);
  const outcomes = servers.filter(({ family }: { family: number }) => family === 4);
  assertEquals(outcomes.map(({ outcome }: { outcome: string }) => outcome), ["answered", "failed"]);
});

Deno.test("external --json without an answer is timed out, and tells so", async () => {
  await using silent = await startStunServer({ mode: "silent" });
  const args = ["--stun", silent.url, "--family", "4", "--timeout", "100ms", "--json"];
  const { code, stdout, stderr } = await runMain(["external", ...args]);
  assertEquals([code, check(stdout)], [124, ["external"]]);
  assertEquals(stderr, "holdfast: Cannot find the public address: no server has answered within 0.1s\n");
});

Deno.test("pipe --json tells where it listens, what it receives, and what was counted in the end", async () => {
  const run = (...args: readonly string[]): { out: TextSink; code: Promise<number> } => {
    const [stdin, stdout, stderr] = [new TextSource("hello"), new TextSink(), new TextSink()];
    return { out: stdout, code: main(["pipe", ...args, "--json"], { stdin, stdout, stderr }) };
  };
  const urlOf = async (out: TextSink): Promise<string> => {
    await out.has("\n");
    return JSON.parse(out.text.split("\n")[0] ?? "").urls[0];
  };
  const [one, other] = [run("--listen", "tcp://127.0.0.1:0"), run("--listen", "tcp://127.0.0.1:0")];
  const relay = run(await urlOf(one.out), await urlOf(other.out));
  assertEquals(await Promise.all([one.code, other.code, relay.code]), [0, 0, 0]);
  for (const { out } of [one, other]) assertEquals(check(out.text), ["listening", "up", "message", "pipe"]);
  assertEquals(check(relay.out.text), ["relay"]);
  const event: PipeAddressLostEvent = { type: "addresslost", at: 0, address: "192.0.2.1" };
  assertEquals(check(jsonLine(event)), ["addresslost"]);
});

Deno.test(
  { name: "tunnel --json tells of keys, connections and refusals", ignore: Deno.build.os === "windows" },
  async () => {
    const folder = await Deno.makeTempDir();
    const [file, list, control] = [`${folder}/key`, `${folder}/list`, `${folder}/socket`];
    for (const path of [file, `${folder}/server`]) {
      assertEquals(check((await runMain(["tunnel", "key", path, "--pair", "--json"])).stdout), ["key"]);
    }
    await Deno.copyFile(`${file}.pub`, list);
    using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const stop = new AbortController();
    const run = (...args: readonly string[]): { out: TextSink; code: Promise<number> } => {
      const [stdin, stdout, stderr] = [new TextSource(""), new TextSink(), new TextSink()];
      const options = { stdin, stdout, stderr, signal: stop.signal };
      return { out: stdout, code: main(["tunnel", ...args, "--json"], options) };
    };
    const addressOf = async (out: TextSink): Promise<string> => {
      await out.has("\n");
      return JSON.parse(out.text.split("\n")[0] ?? "").address.replace("tcp://", "");
    };
    const there = ["--listen", "127.0.0.1:0", "--to", `127.0.0.1:${target.addr.port}`, "--authorized", list];
    const server = run("serve", ...there, "--key-file", `${folder}/server`, "--control", control);
    const here = ["--listen", "127.0.0.1:0", "--server", await addressOf(server.out), "--key-file", file];
    const client = run("connect", ...here, "--server-key", `${folder}/server.pub`);
    const port = Number((await addressOf(client.out)).split(":").at(-1));
    using program = await Deno.connect({ port });
    using served = await target.accept();
    await server.out.has('"event":"open"');
    const status = await runMain(["tunnel", "status", "--control", control, "--json"]);
    assertEquals(check(status.stdout), ["tunnelstatus"]);
    await Deno.writeTextFile(list, "nonsense\n");
    await server.out.has("tunneltrouble");
    await Deno.writeTextFile(list, "# nobody\n");
    await server.out.has("tunnelkeys");
    await client.out.has('"event":"end"');
    using _refused = await Deno.connect({ port });
    await client.out.has("tunnelrefused");
    stop.abort();
    await Promise.all([server.code, client.code]);
    const types = [...new Set([...check(server.out.text), ...check(client.out.text)])].sort();
    assertEquals(types, ["tunnel", "tunnelkeys", "tunnellistening", "tunnelrefused", "tunneltrouble"]);
    void [program, served];
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test(
  { name: "push and receive --json tell what goes where", ignore: Deno.build.os !== "linux" },
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "holdfast-push-" });
    const stop = new AbortController();
    const run = (...args: readonly string[]): { out: TextSink; code: Promise<number> } => {
      const [stdin, stdout, stderr] = [new TextSource(""), new TextSink(), new TextSink()];
      const { signal } = stop;
      return { out: stdout, code: main([...args, "--json"], { stdin, stdout, stderr, signal }) };
    };
    const worker = run("receive", `${folder}/a`, "--exec", "cat");
    await worker.out.has("listening");
    const route = ["--route", `host:a.example=${folder}/a`, "--route", `host:b.example=${folder}/b`];
    const front = run("push", "--listen", "127.0.0.1:0", ...route);
    await front.out.has("listening");
    const { port } = new URL(JSON.parse(front.out.text).urls[0].replace("tcp:", "http:"));
    for (const name of ["a", "b"]) {
      const client = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      const request = `GET / HTTP/1.1\r\nHost: ${name}.example\r\n\r\n`;
      await client.write(new TextEncoder().encode(request));
      await client.closeWrite();
      assertEquals(await new Response(client.readable).text(), name === "a" ? request : "");
    }
    await Promise.all([worker.out.has('"ended"'), front.out.has('"unrouted"')]);
    stop.abort();
    assertEquals(await Promise.all([worker.code, front.code]), [130, 130]);
    assertEquals(check(worker.out.text), ["listening", "started", "ended"]);
    assertEquals(check(front.out.text), ["listening", "routed", "unrouted"]);
    await Deno.remove(folder, { recursive: true });
  },
);

Deno.test("a failure is a line for programs as well, also where the command line is wrong", async () => {
  const { code, stdout, stderr } = await runMain(["watch", "--json", "--quiet", "3"]);
  assertEquals([code, check(stdout)], [2, ["error"]]);
  assertEquals(JSON.parse(stdout).hint, 'Did you mean "3s"?');
  assertEquals(stderr.startsWith("holdfast: Cannot run"), true);
  check(jsonLine(failureOf("thrown text")));
});

Deno.test("of every schema in docs/JSON.md a line was shown above", () => {
  assertEquals([...shown].sort(), [...schemas.keys()].sort());
});

Deno.test("the validator refuses what the schemas do not allow", () => {
  const wrong = (value: unknown, schema: Schema): number => validate(value, schema, defs).length;
  assertEquals(wrong(1.5, { type: "integer" }), 1);
  assertEquals(wrong(null, { type: ["string", "null"] }), 0);
  assertEquals(wrong([], { type: "object" }), 1);
  assertEquals(wrong("b", { const: "a" }), 1);
  assertEquals(wrong("b", { enum: ["a"] }), 1);
  assertEquals(wrong(-1, { $ref: "#/$defs/count" }), 1);
  assertEquals(wrong("2026-01-01T00:00:00Z", { $ref: "#/$defs/time" }), 1);
  assertEquals(wrong("2026-01-01T00:00:00.000Z", { $ref: "#/$defs/time" }), 0);
  assertEquals(
    wrong({ a: 1, b: 2 }, { properties: { a: { type: "string" } }, additionalProperties: false }),
    2,
  );
  assertEquals(wrong({}, { required: ["a"], minProperties: 1 }), 2);
  assertEquals(wrong([1, "x"], { items: { type: "string" } }), 1);
  assertEquals(wrong(1, { anyOf: [{ type: "string" }, { type: "null" }] }), 1);
  assertEquals(wrong(1, { oneOf: [{ type: "integer" }, { type: "number" }] }), 1);
  const line = JSON.parse(jsonLine({ type: "state", at: STATE.at, state: STATE } as { type: string }));
  line.state.interfaces[0].addresses[0].scope = "galaxy";
  assertEquals(validate(line, schemas.get("state") ?? {}, defs), [
    '$.state.interfaces[0].addresses[0].scope: "galaxy" is none of ["global","site","link","host"]',
  ]);
});
