/** What we rely on in `@std/cli`: holds for the stand-in in `dev/std/` and for the real library alike. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { parseArgs as parseArgsByRoot } from "@std/cli";
import { parseArgs } from "@std/cli/parse-args";

/** Compiles only if both types are the same. */
function sameType<A, B>(
  _same: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false,
) {}

Deno.test("options are read in all their forms", () => {
  const options = {
    boolean: ["json", "help"],
    string: ["backend", "server"],
    collect: ["server"],
    alias: { h: "help", b: "backend" },
  } as const;
  const parsed = parseArgs(["watch", "--json", "--backend", "poll", "--server=a", "--server", "b", "rest"], {
    ...options,
  });
  assertEquals(parsed, {
    _: ["watch", "rest"],
    json: true,
    help: false,
    h: false,
    backend: "poll",
    b: "poll",
    server: ["a", "b"],
  });
  assertEquals(parseArgs(["-h", "-b", "poll"], options), {
    _: [],
    json: false,
    help: true,
    h: true,
    backend: "poll",
    b: "poll",
    server: [],
  });
  assertStrictEquals(parseArgs, parseArgsByRoot);
});

Deno.test("values keep their types, and what is missing is empty", () => {
  const string = ["text"] as const;
  assertEquals(parseArgs(["--text", "5", "--other", "5", "--flag"], { string }), {
    _: [],
    text: "5",
    other: 5,
    flag: true,
  });
  assertEquals(parseArgs(["--text"], { string }), { _: [], text: "" });
  assertEquals(parseArgs(["--text", "--other"], { string }), { _: [], text: "", other: true });
  assertEquals(parseArgs(["--text="], { string }), { _: [], text: "" });
  assertEquals(parseArgs(["--text=a=b\nc"], { string }), { _: [], text: "a=b\nc" });
  assertEquals(parseArgs(["--text", "-5"], { string })["text"], "");
  assertEquals(parseArgs(["--text", "a", "--text", "b"], { string }), { _: [], text: "b" });
  assertEquals(parseArgs(["5", "0x10", "1e3", "a", ""]), { _: [5, 16, 1000, "a", ""] });
  const { _: texts } = parseArgs(["5", "a"], { string: ["_"] });
  assertEquals<unknown>(texts, ["5", "a"]);
  assertEquals(parseArgs(["-"]), { _: ["-"] });
});

Deno.test("flags take `true` and `false`, and nothing else", () => {
  const boolean = ["json"] as const;
  assertEquals(parseArgs(["--json", "false", "a"], { boolean }), { _: ["a"], json: false });
  assertEquals(parseArgs(["--json", "true"], { boolean }), { _: [], json: true });
  assertEquals(parseArgs(["--json=false"], { boolean }), { _: [], json: false });
  assertEquals(parseArgs(["--json=no"], { boolean }), { _: [], json: true });
  assertEquals(parseArgs(["--json", "no"], { boolean }), { _: ["no"], json: true });
  assertEquals(parseArgs(["--any", "no", "-x", "a"], { boolean: true }), { _: ["no"], any: true, x: "a" });
});

Deno.test("an option is negated only where it may be", () => {
  const boolean = ["color"] as const;
  assertEquals(parseArgs(["--no-color"], { boolean, negatable: ["color"] }), { _: [], color: false });
  assertEquals(parseArgs(["--no-color"], { boolean }), { _: [], color: false, "no-color": true });
  assertEquals(
    parseArgs([], { boolean, negatable: ["color"], default: { color: true } }),
    { _: [], color: true },
  );
});

Deno.test("short options come in clusters and with values", () => {
  assertEquals(parseArgs(["-abc"]), { _: [], a: true, b: true, c: true });
  assertEquals(parseArgs(["-n5"]), { _: [], n: 5 });
  assertEquals(parseArgs(["-n=5"]), { _: [], n: 5 });
  assertEquals(parseArgs(["-n", "5", "x"]), { _: ["x"], n: 5 });
  assertEquals(parseArgs(["-o/tmp"]), { _: [], o: "/tmp" });
  assertEquals(parseArgs(["-n", "-v"]), { _: [], n: true, v: true });
  assertEquals(parseArgs(["-n", "-"], { string: ["n"] }), { _: [], n: "-" });
  assertEquals(parseArgs(["-v", "a"], { boolean: ["v"] }), { _: ["a"], v: true });
});

Deno.test("`--` ends the options, and stopEarly ends them at the first argument", () => {
  assertEquals(parseArgs(["a", "--", "--b", "1"]), { _: ["a", "--b", "1"] });
  assertEquals(parseArgs(["a", "--", "--b", "1"], { "--": true }), { _: ["a"], "--": ["--b", "1"] });
  assertEquals(parseArgs(["a"], { "--": true }), { _: ["a"], "--": [] });
  assertEquals(parseArgs(["--a", "--json", "run", "--b", "1"], { boolean: ["json"], stopEarly: true }), {
    _: ["run", "--b", "1"],
    a: true,
    json: true,
  });
});

Deno.test("unknown() hears of each undeclared option and each argument, and can leave it out", () => {
  const heard: unknown[][] = [];
  const parsed = parseArgs(["--jsno", "--backend", "a", "-xz", "--what=1", "arg", "--no-backend"], {
    string: ["backend"],
    alias: { b: "backend" },
    default: { given: 1 },
    unknown: (...args) => {
      heard.push(args);
      return false;
    },
  });
  assertEquals(heard, [
    ["--jsno", "jsno", true],
    ["-xz", "x", true],
    ["-xz", "z", true],
    ["--what=1", "what", "1"],
    ["arg"],
    ["--no-backend", "no-backend", true],
  ]);
  assertEquals(parsed, { _: [], backend: "a", b: "a", given: 1 });
});

Deno.test("defaults stand in for what is not given, under all names", () => {
  const options = { string: ["backend"], alias: { b: "backend" }, default: { backend: "auto" } } as const;
  assertEquals(parseArgs([], options), { _: [], backend: "auto", b: "auto" });
  assertEquals(parseArgs(["-b", "poll"], options), { _: [], backend: "poll", b: "poll" });
});

Deno.test("the declared options have the types they should", () => {
  const parsed = parseArgs([], {
    boolean: ["json"],
    string: ["backend", "server", "timeout"],
    collect: ["server"],
    default: { timeout: "30s" },
    "--": true,
  });
  sameType<typeof parsed.json, boolean>(true);
  sameType<typeof parsed.backend, string | undefined>(true);
  sameType<typeof parsed.server, string[]>(true);
  sameType<typeof parsed.timeout, string>(true);
  sameType<typeof parsed._, (string | number)[]>(true);
  sameType<(typeof parsed)["--"], string[]>(true);
  sameType<(typeof parsed)["anything"], unknown>(true);
  const names: readonly string[] = ["a", "b"];
  const dynamic = parseArgs(["--a"], { boolean: names, string: names, collect: names, alias: { x: ["a"] } });
  assertEquals(Object.keys(dynamic).sort(), ["_", "a", "b", "x"]);
});
