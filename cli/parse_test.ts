import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { BackendName } from "../watch/events.ts";
import { BACKENDS, commandTable } from "./command_table.ts";
import { parseCommandLine } from "./parse.ts";
import { parseDuration } from "./units.ts";
import { UsageError } from "./usage_error.ts";
import type { Values } from "./values.ts";

function run(...argv: string[]): { readonly args: readonly string[]; readonly values: Values } {
  const request = parseCommandLine(commandTable, argv);
  assert(request.kind === "run");
  return request;
}

Deno.test("options are read by their type, with or without an equals sign, before and behind arguments", () => {
  const { args, values } = run("wait", "--timeout=2m", "example.com:443", "--family", "6", "--json");
  assertEquals(args, ["example.com:443"]);
  assertEquals(values.number("timeout"), 120_000);
  assertEquals(values.family(), 6);
  assertEquals(values.flag("json"), true);
});

Deno.test("an option that is not given has its default, or nothing", () => {
  const { values } = run("watch");
  assertEquals(values.text("backend"), "auto");
  assertEquals(values.number("quiet"), 150);
  assertEquals(values.number("grace"), undefined);
  assertEquals(values.flag("settled"), false);
  assertEquals(values.list("external"), []);
});

Deno.test("a list takes several values, in order", () => {
  const { values } = run("watch", "--external", "a:1", "--external=b:2");
  assertEquals(values.list("external"), ["a:1", "b:2"]);
});

Deno.test("what follows a double dash is an argument, whatever it looks like", () => {
  assertEquals(run("external", "a:1", "--", "--stun", "-h").args, ["a:1", "--stun", "-h"]);
});

Deno.test("arguments that look like numbers stay as they were typed", () => {
  assertEquals(run("external", "0x10", "007", "1e3").args, ["0x10", "007", "1e3"]);
});

Deno.test("help and version are found in their forms", () => {
  for (const argv of [[], ["--help"], ["-h"]]) {
    assertEquals(parseCommandLine(commandTable, argv), { kind: "help", command: undefined });
  }
  for (const argv of [["--version"], ["-V"]]) {
    assertEquals(parseCommandLine(commandTable, argv).kind, "version");
  }
  for (const argv of [["watch", "--help"], ["watch", "-h"], ["watch", "--quiet", "1s", "-h"]]) {
    const request = parseCommandLine(commandTable, argv);
    assertEquals(request.kind === "help" && request.command?.name, "watch");
  }
});

Deno.test("whatever is typed, the only failure is a mistake with a hint", () => {
  const words = fc.oneof(
    fc.constantFrom(
      ...commandTable.map(({ name }) => name),
      "--json",
      "--backend",
      "--timeout",
      "--",
      "-h",
      "-",
      "=",
    ),
    fc.constantFrom(
      "--__proto__=1",
      "--constructor",
      "--backend=__proto__",
      "--no-json",
      "--json.x",
      "-jx=1",
    ),
    fc.string({ maxLength: 8 }),
    fc.string({ maxLength: 6 }).map((text) => `--${text}`),
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 6 }), (argv) => {
      try {
        parseCommandLine(commandTable, argv);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        assert(error.message.startsWith("Cannot ") && error.hint !== "");
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("a default in the table is a value that the option takes", () => {
  for (const { options } of commandTable) {
    for (const { name, type, choices, default: text } of options) {
      if (text === undefined) continue;
      if (choices) assert(choices.includes(text), name);
      if (type === "duration") assert(parseDuration(text).ok, name);
    }
  }
});

Deno.test("the examples in the table are command lines that the parser takes", () => {
  for (const { examples } of commandTable) {
    for (const { run } of examples) {
      for (const [, line = ""] of run.matchAll(/holdfast ([^)|&]*)/g)) {
        parseCommandLine(commandTable, line.replace(/["]/g, "").trim().split(/\s+/));
      }
    }
  }
});

Deno.test("the table's backends are those of watch", () => {
  const all: Record<BackendName | "auto", true> = {
    "auto": true,
    "netlink": true,
    "routing-socket": true,
    "iphlpapi": true,
    "ip-monitor": true,
    "route-monitor": true,
    "powershell": true,
    "poll": true,
  };
  assertEquals([...BACKENDS].sort(), Object.keys(all).sort());
});

Deno.test("an option is read in its own type only", () => {
  const { values } = run("watch", "--quiet", "1s");
  assertThrows(() => values.text("quiet"), TypeError);
  assertThrows(() => values.number("backend"), TypeError);
  assertThrows(() => values.list("backend"), TypeError);
});
