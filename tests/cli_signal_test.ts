/** `holdfast signal`, as a person and a program see it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { main } from "../cli/main.ts";
import { makeIdentity } from "../signal/identity.ts";
import { startBroker } from "../signal/embedded.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";
import { freePort } from "./_mosquitto.ts";

/** A command that runs until the test ends it. */
function start(args: readonly string[], stdin = new TextSource("")): {
  readonly out: TextSink;
  readonly err: TextSink;
  readonly code: Promise<number>;
  readonly stop: AbortController;
} {
  const [out, err, stop] = [new TextSink(), new TextSink(), new AbortController()];
  const code = main(["signal", ...args], { stdin, stdout: out, stderr: err, signal: stop.signal });
  return { out, err, code, stop };
}

/** A folder with two identities. */
async function folderWithIdentities(): Promise<
  AsyncDisposable & Record<"mine" | "theirs" | "id" | "path", string>
> {
  const path = await Deno.makeTempDir({ prefix: "holdfast-signal-" });
  const [mine, theirs] = [`${path}/mine.key`, `${path}/theirs.key`];
  await runMain(["signal", "identity", mine]);
  const { stdout } = await runMain(["signal", "identity", theirs]);
  const remove = (): Promise<void> => Deno.remove(path, { recursive: true });
  return { mine, theirs, path, id: stdout.trim(), [Symbol.asyncDispose]: remove };
}

/** The lines of JSON without their times. */
function linesOf(text: string): Record<string, unknown>[] {
  return text.trimEnd().split("\n").map((line) => {
    const { at, ...rest } = JSON.parse(line);
    assertMatch(at, /^\d{4}-\d\d-\d\dT/);
    return rest;
  });
}

Deno.test("signal identity makes a file that is nobody else's, and prints the same id again", async () => {
  await using folder = await folderWithIdentities();
  assertMatch(folder.id, /^[a-z2-7]{52}$/);
  const again = await runMain(["signal", "identity", folder.theirs, "--json"]);
  assertEquals(linesOf(again.stdout), [{
    type: "identity",
    id: folder.id,
    file: folder.theirs,
    made: false,
  }]);
  const { mode } = await Deno.stat(folder.theirs);
  assertEquals((mode ?? 0) & 0o777, 0o600);
  await Deno.writeTextFile(`${folder.path}/other`, "not a key");
  assertEquals((await runMain(["signal", "identity", `${folder.path}/other`])).code, 1);
  assertEquals(await Deno.readTextFile(`${folder.path}/other`), "not a key");
});

Deno.test("signal listen prints what signal send reads, line by line, and nothing that a terminal would obey", async () => {
  await using folder = await folderWithIdentities();
  await using broker = await startBroker();
  const listener = start(["listen", "--identity", folder.theirs, "--broker", broker.url, "--count", "3"]);
  const to = ["--identity", folder.mine, "--to", folder.id, "--broker", broker.url];
  const sent = await runMain(
    ["signal", "send", ...to],
    undefined,
    new TextSource("one\r\ntwo\n\x1b[31mthree"),
  );
  assertEquals(sent.code, 0);
  assertEquals(sent.stdout.split("\n").length, 4);
  assertMatch(sent.stdout, new RegExp(`^1: delivered in \\d+ ms by ${broker.url}\n2: delivered`));
  assertEquals(await listener.code, 0);
  const texts = listener.out.text.trimEnd().split("\n").map((line) => line.slice(53));
  assertEquals(texts, ["one", "two", "\\u001b[31mthree"]);
});

Deno.test("signal send --json tells what arrived by which brokers, and what did not; then it fails", async () => {
  await using folder = await folderWithIdentities();
  await using broker = await startBroker();
  const other = await startBroker();
  const brokers = ["--broker", broker.url, "--broker", other.url];
  const listener = start(["listen", "--identity", folder.theirs, ...brokers, "--json", "--count", "1"]);
  const to = ["--identity", folder.mine, ...brokers, "--json", "--to"];
  const { stdout, code } = await runMain(["signal", "send", ...to, folder.id, "--message", "hello"]);
  const [receipt] = linesOf(stdout);
  assertEquals([code, receipt?.["type"], receipt?.["to"], receipt?.["message"]], [
    0,
    "receipt",
    folder.id,
    1,
  ]);
  assert((receipt?.["brokers"] as string[]).length > 0);
  assertEquals(await listener.code, 0);
  const [message] = linesOf(listener.out.text);
  assertEquals([message?.["type"], message?.["text"], message?.["bytes"]], ["message", "hello", 5]);

  const nobody = makeIdentity().id;
  const lost = await runMain([
    "signal",
    "send",
    ...to,
    nobody,
    "--message",
    "a",
    "--message",
    "b",
    "--ttl",
    "300ms",
  ]);
  assertEquals(lost.code, 1);
  const failures = linesOf(lost.stdout);
  assertEquals(failures.map(({ type, to, code }) => [type, to, code]), [
    ["undelivered", nobody, "expired"],
    ["undelivered", nobody, "expired"],
  ]);
  await other[Symbol.asyncDispose]();
});

Deno.test("signal status tells how each broker is, and fails when none is up", async () => {
  await using broker = await startBroker();
  const dead = `mqtt://127.0.0.1:${freePort()}`;
  const both = ["--broker", broker.url, "--broker", dead, "--timeout", "500ms", "--json"];
  const { code, stdout } = await runMain(["signal", "status", ...both]);
  const states = linesOf(stdout).map(({ type, url, state }) => [type, url, state]);
  assertEquals([code, states], [0, [["broker", broker.url, "up"], ["broker", dead, "down"]]]);
  const none = await runMain(["signal", "status", "--broker", dead, "--timeout", "300ms"]);
  assertEquals(none.code, 1);
  assertStringIncludes(none.stdout, `${dead}  down  Cannot use the broker ${dead}: `);
});

Deno.test("signal broker runs until it is told to end, and brokers come from a file, too", async () => {
  const path = await Deno.makeTempDir({ prefix: "holdfast-signal-" });
  const broker = start(["broker", "--listen", `127.0.0.1:${freePort()}`, "--json"]);
  await broker.out.has("\n");
  const [listening] = linesOf(broker.out.text);
  const [url = ""] = listening?.["urls"] as string[];
  const withLogin = url.replace("//", "//me:s3cret@");
  await Deno.writeTextFile(`${path}/brokers`, `# ours\n\n${withLogin}\n`);
  const { code, stdout, stderr } = await runMain(["signal", "status", "--broker-file", `${path}/brokers`]);
  assertEquals([code, stdout, stderr], [0, `${url}  up\n`, ""]);
  broker.stop.abort();
  assertEquals(await broker.code, 130);
  await Deno.remove(path, { recursive: true });
});

Deno.test("what is typed wrong is told, without passwords", async () => {
  const id = makeIdentity().id;
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["listen"], 'Cannot run "holdfast signal listen": "--identity" is missing'],
    [["send", "--identity", "a"], 'Cannot run "holdfast signal send": "--to" is missing'],
    [["send", "--identity", "a", "--to", "bob"], '"bob" is neither an id nor a contact card'],
    [["identity"], 'Cannot run "holdfast signal identity": the argument FILE is missing'],
    [["status", "more"], 'Cannot run "holdfast signal status": extra argument "more"'],
    [["broker", "--to", id], 'Cannot run "holdfast signal broker": "--to" is not for it'],
    [["status"], 'Cannot run "holdfast signal status": it needs a broker'],
    [["status", "--broker", "http://me:s3cret@a"], 'must begin with mqtt:, mqtts:, ws: or wss:, got "http:"'],
  ];
  for (const [args, message] of cases) {
    const { code, stderr, stdout } = await runMain(["signal", ...args]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, message);
    assertEquals(stderr.includes("s3cret"), false);
  }
});
