/** What we rely on in `@std`: holds for the stand-ins in `dev/std/` and for the real library alike. */

import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
} from "@std/assert";
import { deadline, delay } from "@std/async";
import { delay as delayByPath } from "@std/async/delay";
import { deadline as deadlineByPath } from "@std/async/deadline";
import { parseArgs as parseArgsByRoot } from "@std/cli";
import { parseArgs } from "@std/cli/parse-args";
import {
  BaseHandler,
  ConsoleHandler,
  formatters,
  getLogger,
  Logger,
  LogLevels,
  type LogRecord,
  setup,
} from "@std/log";
import { FakeTime, TimeError } from "@std/testing/time";

/** Runs what must fail an assertion, without `assertThrows`, which is under test itself. */
function failure(fn: () => unknown): AssertionError {
  try {
    fn();
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error("Cannot go on: the assertion did not fail");
}

/** Compiles only if both types are the same. */
function sameType<A, B>(
  _same: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false,
) {}

Deno.test("assert: equal values are equal", () => {
  const loop = (): unknown => {
    const self: Record<string, unknown> = { a: 1 };
    self["self"] = self;
    return self;
  };
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [1, 1],
    [0, -0],
    [NaN, NaN],
    ["a", "a"],
    [1n, 1n],
    [[1, [2]], [1, [2]]],
    [{ a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [new Date(5), new Date(5)],
    [/a/g, /a/g],
    [new URL("http://a/"), new URL("http://a/")],
    [new Map([["a", { b: 1 }]]), new Map([["a", { b: 1 }]])],
    [new Set([{ a: 1 }, { b: 2 }]), new Set([{ b: 2 }, { a: 1 }])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [new Uint8Array([1, 2]).buffer, new Uint8Array([1, 2]).buffer],
    [loop(), loop()],
  ];
  for (const [a, b] of pairs) {
    assertEquals(a, b);
    assertEquals(equal(b, a), true);
    assertMatch(failure(() => assertNotEquals(a, b)).message, /not to be/);
  }
});

Deno.test("assert: unequal values are not equal, and the message shows both", () => {
  class Point {
    constructor(readonly x: number) {}
  }
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [1, 2],
    [1, "1"],
    [null, undefined],
    [[1], [1, 2]],
    [[1, undefined], [1]],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [{ a: 1 }, { a: 1, b: 2 }],
    [new Point(1), new Point(2)],
    [new Point(1), { x: 1 }],
    [[], {}],
    [new Date(5), new Date(6)],
    [/a/g, /a/i],
    [new URL("http://a/"), new URL("http://b/")],
    [new Map([["a", 1]]), new Map([["a", 2]])],
    [new Set([1]), new Set([2])],
    [new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    [new Uint8Array([1]), new Int8Array([1])],
  ];
  for (const [a, b] of pairs) {
    assertNotEquals(a, b);
    assertEquals(equal(b, a), false);
    assertMatch(failure(() => assertEquals(a, b)).message, /^Values are not equal\.\n/);
  }
  assertEquals(new Point(1), new Point(1));
  const { message, name } = failure(() => assertEquals({ found: "one" }, { found: "other" }, "the reason"));
  assertMatch(message, /^Values are not equal: the reason\n/);
  assertStringIncludes(message, '"one"');
  assertStringIncludes(message, '"other"');
  assertEquals(name, "AssertionError");
});

Deno.test("assert: plain assertions pass and fail", () => {
  assert(1);
  assertEquals(failure(() => assert(0, "the reason")).message, "the reason");
  assertFalse("");
  assertEquals(failure(() => assertFalse("a", "the reason")).message, "the reason");
  const same = {};
  assertStrictEquals(same, same);
  assertStrictEquals(NaN, NaN);
  assertMatch(
    failure(() => assertStrictEquals({}, {})).message,
    /same structure but are not reference-equal/,
  );
  assertMatch(failure(() => assertStrictEquals(0, -0, "why")).message, /^Values are not strictly equal: why/);
  assertExists(0);
  for (const none of [null, undefined]) {
    assertMatch(failure(() => assertExists(none)).message, /null or undefined/);
  }
  assertInstanceOf(new TypeError(), Error);
  assertMatch(failure(() => assertInstanceOf(1, Error)).message, /instance of "Error" but was "number"/);
  assertMatch(failure(() => assertInstanceOf(null, Error)).message, /but was "null"/);
  assertMatch("abc", /b/);
  assertEquals(failure(() => assertMatch("abc", /d/)).message, 'Expected actual: "abc" to match: "/d/".');
  assertStringIncludes("abc", "bc");
  assertEquals(
    failure(() => assertStringIncludes("abc", "d", "why")).message,
    'Expected actual: "abc" to contain: "d": why',
  );
  assertArrayIncludes([{ a: 1 }, 2], [2, { a: 1 }]);
  assertMatch(failure(() => assertArrayIncludes([1], [1, 2])).message, /missing: \[\s*2,?\s*\]/);
  assertEquals(failure(() => fail("why")).message, "Failed assertion: why");
  assertEquals(failure(() => fail()).message, "Failed assertion.");
});

Deno.test("assert: comparisons hold at their borders", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2, 2);
  assertLess(1, 2);
  assertLessOrEqual(2, 2);
  assertEquals(failure(() => assertGreater(2, 2)).message, "Expect 2 > 2");
  assertEquals(failure(() => assertGreaterOrEqual(1, 2)).message, "Expect 1 >= 2");
  assertEquals(failure(() => assertLess(2, 2)).message, "Expect 2 < 2");
  assertEquals(failure(() => assertLessOrEqual(3, 2)).message, "Expect 3 <= 2");
  assertEquals(failure(() => assertLess(NaN, 2, "the reason")).message, "the reason");
});

Deno.test("assert: an object matches when all that is expected is there, at any depth", () => {
  const actual = { type: "a", at: new Date(5), inner: { b: 1, c: [{ d: 1, e: 2 }, 3] } };
  assertObjectMatch(actual, { type: "a", inner: { c: [{ d: 1 }] } });
  assertObjectMatch(actual, { at: new Date(5) });
  for (
    const expected of [{ type: "b" }, { inner: { c: [{ d: 2 }] } }, { other: undefined }, { at: new Date(6) }]
  ) {
    failure(() => assertObjectMatch(actual, expected));
  }
});

Deno.test("assert: assertThrows() returns what was thrown and looks at class and message", () => {
  const thrown = new TypeError("the message");
  const fn = (): never => {
    throw thrown;
  };
  assertStrictEquals(assertThrows(fn), thrown);
  assertStrictEquals(assertThrows(fn, Error, "message"), thrown);
  assertStrictEquals(assertThrows(fn, "why"), thrown);
  assertMatch(
    failure(() => assertThrows(fn, RangeError)).message,
    /instance of "RangeError", but was "TypeError"/,
  );
  assertMatch(
    failure(() => assertThrows(fn, Error, "other")).message,
    /include "other", but got "the message"/,
  );
  assertEquals(failure(() => assertThrows(() => 1)).message, "Expected function to throw.");
  const text = (): never => {
    // deno-lint-ignore no-throw-literal
    throw "text";
  };
  assertEquals(assertThrows(text), "text");
  assertMatch(failure(() => assertThrows(text, Error)).message, /non-Error object was thrown/);
});

Deno.test("assert: assertRejects() resolves with the reason and looks at class and message", async () => {
  const reason = new TypeError("the message");
  const reject = (): Promise<never> => Promise.reject(reason);
  const failed = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.then(() => undefined, (error) => error);
    if (!(error instanceof AssertionError)) throw new Error("Cannot go on: the assertion did not fail");
    return error.message;
  };
  assertStrictEquals(await assertRejects(reject), reason);
  assertStrictEquals(await assertRejects(reject, TypeError, "message"), reason);
  assertMatch(
    await failed(assertRejects(reject, RangeError)),
    /instance of "RangeError", but was "TypeError"/,
  );
  assertMatch(await failed(assertRejects(reject, Error, "other")), /include "other"/);
  assertEquals(await failed(assertRejects(() => Promise.resolve())), "Expected function to reject.");
  assertMatch(
    await failed(assertRejects(() => {
      throw reason;
    })),
    /throws when expected to reject/,
  );
  assertMatch(await failed(assertRejects(() => Promise.reject(1), Error)), /non-Error object was rejected/);
});

Deno.test("async: delay() resolves after its time, which fake time drives", async () => {
  using time = new FakeTime();
  let done = false;
  const waiting = delay(1000).then(() => done = true);
  await time.tickAsync(999);
  await time.runMicrotasks();
  assertEquals(done, false);
  await time.tickAsync(1);
  await waiting;
  assertEquals(done, true);
  assertStrictEquals(delay, delayByPath);
});

Deno.test("async: delay() is called off by its signal, and leaves no timer", async () => {
  const controller = new AbortController();
  const waiting = delay(1_000_000, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(await assertRejects(() => delay(0, { signal: controller.signal })), reason);
});

Deno.test("async: delay() waits longer than the runtime's timers can", async () => {
  using time = new FakeTime();
  let done = false;
  const long = 2 ** 31 + 5;
  const waiting = delay(long).then(() => done = true);
  await time.tickAsync(long - 1);
  await time.runMicrotasks();
  assertEquals(done, false);
  await time.tickAsync(1);
  await waiting;
});

Deno.test("async: deadline() follows the promise, or rejects when the time is over", async () => {
  assertEquals(await deadline(Promise.resolve(1), 1000), 1);
  assertEquals(await deadline(Promise.resolve(1), Infinity), 1);
  const reason = new Error("why");
  assertStrictEquals(await assertRejects(() => deadline(Promise.reject(reason), 1000)), reason);
  const never = new Promise<never>(() => {});
  const { name } = await assertRejects(() => deadline(never, 1), DOMException);
  assertEquals(name, "TimeoutError");
  const controller = new AbortController();
  const waiting = deadline(never, 1_000_000, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(deadline, deadlineByPath);
});

Deno.test("async: fake time drives deadline() too", async () => {
  using time = new FakeTime();
  const over = assertRejects(() => deadline(new Promise<never>(() => {}), 5000), DOMException);
  await time.tickAsync(5000);
  assertEquals((await over).name, "TimeoutError");
});

Deno.test("cli: options are read in all their forms", () => {
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

Deno.test("cli: values keep their types, and what is missing is empty", () => {
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

Deno.test("cli: flags take `true` and `false`, and nothing else", () => {
  const boolean = ["json"] as const;
  assertEquals(parseArgs(["--json", "false", "a"], { boolean }), { _: ["a"], json: false });
  assertEquals(parseArgs(["--json", "true"], { boolean }), { _: [], json: true });
  assertEquals(parseArgs(["--json=false"], { boolean }), { _: [], json: false });
  assertEquals(parseArgs(["--json=no"], { boolean }), { _: [], json: true });
  assertEquals(parseArgs(["--json", "no"], { boolean }), { _: ["no"], json: true });
  assertEquals(parseArgs(["--any", "no", "-x", "a"], { boolean: true }), { _: ["no"], any: true, x: "a" });
});

Deno.test("cli: an option is negated only where it may be", () => {
  const boolean = ["color"] as const;
  assertEquals(parseArgs(["--no-color"], { boolean, negatable: ["color"] }), { _: [], color: false });
  assertEquals(parseArgs(["--no-color"], { boolean }), { _: [], color: false, "no-color": true });
  assertEquals(
    parseArgs([], { boolean, negatable: ["color"], default: { color: true } }),
    { _: [], color: true },
  );
});

Deno.test("cli: short options come in clusters and with values", () => {
  assertEquals(parseArgs(["-abc"]), { _: [], a: true, b: true, c: true });
  assertEquals(parseArgs(["-n5"]), { _: [], n: 5 });
  assertEquals(parseArgs(["-n=5"]), { _: [], n: 5 });
  assertEquals(parseArgs(["-n", "5", "x"]), { _: ["x"], n: 5 });
  assertEquals(parseArgs(["-o/tmp"]), { _: [], o: "/tmp" });
  assertEquals(parseArgs(["-n", "-v"]), { _: [], n: true, v: true });
  assertEquals(parseArgs(["-n", "-"], { string: ["n"] }), { _: [], n: "-" });
  assertEquals(parseArgs(["-v", "a"], { boolean: ["v"] }), { _: ["a"], v: true });
});

Deno.test("cli: `--` ends the options, and stopEarly ends them at the first argument", () => {
  assertEquals(parseArgs(["a", "--", "--b", "1"]), { _: ["a", "--b", "1"] });
  assertEquals(parseArgs(["a", "--", "--b", "1"], { "--": true }), { _: ["a"], "--": ["--b", "1"] });
  assertEquals(parseArgs(["a"], { "--": true }), { _: ["a"], "--": [] });
  assertEquals(parseArgs(["--a", "--json", "run", "--b", "1"], { boolean: ["json"], stopEarly: true }), {
    _: ["run", "--b", "1"],
    a: true,
    json: true,
  });
});

Deno.test("cli: unknown() hears of each undeclared option and each argument, and can leave it out", () => {
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

Deno.test("cli: defaults stand in for what is not given, under all names", () => {
  const options = { string: ["backend"], alias: { b: "backend" }, default: { backend: "auto" } } as const;
  assertEquals(parseArgs([], options), { _: [], backend: "auto", b: "auto" });
  assertEquals(parseArgs(["-b", "poll"], options), { _: [], backend: "poll", b: "poll" });
});

Deno.test("cli: the declared options have the types they should", () => {
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

class Memory extends BaseHandler {
  readonly lines: string[] = [];
  readonly records: LogRecord[] = [];
  override handle(record: LogRecord): void {
    this.records.push(record);
    super.handle(record);
  }
  override log(line: string): void {
    this.lines.push(line);
  }
}

Deno.test("log: a logger passes records of its level and above to handlers of theirs", () => {
  const all = new Memory("NOTSET");
  const bad = new Memory("ERROR");
  const logger = new Logger("name", "INFO", { handlers: [all, bad] });
  logger.debug("no");
  logger.info("one", 1, { two: 2 });
  logger.warn("two");
  logger.error("three");
  logger.critical("four");
  assertEquals(all.lines, ["INFO one", "WARN two", "ERROR three", "CRITICAL four"]);
  assertEquals(bad.lines, ["ERROR three", "CRITICAL four"]);
  const [record] = all.records;
  assertExists(record);
  assertEquals([record.msg, record.args, record.level, record.levelName, record.loggerName], [
    "one",
    [1, { two: 2 }],
    LogLevels.INFO,
    "INFO",
    "name",
  ]);
  logger.levelName = "DEBUG";
  logger.debug("now");
  assertEquals(all.lines.at(-1), "DEBUG now");
  assertThrows(() => logger.level = 7 as 10, TypeError);
});

Deno.test("log: messages that are no text become text, and a function only when it is wanted", () => {
  const memory = new Memory("INFO");
  const logger = new Logger("name", "INFO", { handlers: [memory] });
  assertEquals(logger.info(5), 5);
  assertEquals(logger.info({ a: "b", c: [1] }), { a: "b", c: [1] });
  assertEquals(logger.info(null), null);
  assertEquals(logger.info(() => "lazy"), "lazy");
  assertEquals(logger.debug(() => fail("not wanted")), undefined);
  const error = new Error("why");
  logger.info(error);
  assertEquals(memory.lines, [
    "INFO 5",
    'INFO {"a":"b","c":{"0":1}}',
    "INFO null",
    "INFO lazy",
    `INFO ${error.stack}`,
  ]);
});

Deno.test("log: setup() makes loggers by name, and getLogger() finds them", () => {
  const memory = new Memory("DEBUG");
  const json = new Memory("DEBUG", { formatter: formatters.jsonFormatter });
  setup({
    handlers: { memory, json },
    loggers: {
      net: { level: "DEBUG", handlers: ["memory", "json", "nobody"] },
      quiet: { handlers: ["memory"] },
    },
  });
  try {
    getLogger("net").debug("found", { a: 1 });
    assertEquals(memory.lines, ["DEBUG found"]);
    const { datetime, ...rest } = JSON.parse(json.lines[0] ?? "");
    assertEquals(rest, { level: "DEBUG", message: "found", args: { a: 1 } });
    assertEquals(typeof datetime, "number");
    assertEquals(getLogger("quiet").levelName, "INFO");
    assertEquals(getLogger("unheard").handlers, []);
    assertStrictEquals(getLogger("unheard"), getLogger("unheard"));
    assertEquals(getLogger().levelName, "INFO");
  } finally {
    setup({});
  }
});

Deno.test("log: the console handler writes a line, without colours when asked", () => {
  const lines: unknown[] = [];
  const { log } = console;
  console.log = (line: unknown) => lines.push(line);
  try {
    const logger = new Logger("name", "DEBUG", {
      handlers: [new ConsoleHandler("DEBUG", { useColors: false })],
    });
    logger.critical("plain");
  } finally {
    console.log = log;
  }
  assertEquals(lines, ["CRITICAL plain"]);
});

Deno.test("testing: fake time stands still until it is moved, and is over when it is restored", () => {
  const { setTimeout: real, Date: RealDate } = globalThis;
  {
    using time = new FakeTime(15_000);
    assertEquals([time.now, time.start, Date.now(), new Date().getTime()], [15_000, 15_000, 15_000, 15_000]);
    assert(new Date() instanceof RealDate);
    assert(new Date() instanceof Date);
    assertEquals(new Date(5).getTime(), 5);
    assertEquals(Date(), new RealDate(15_000).toString());
    time.tick(5);
    assertEquals(Date.now(), 15_005);
    assertThrows(() => time.now = 0, RangeError);
    assertThrows(() => new FakeTime(), TimeError);
  }
  assertStrictEquals(globalThis.setTimeout, real);
  assertStrictEquals(globalThis.Date, RealDate);
  const time = new FakeTime("2020-01-01T00:00:00Z");
  assertEquals(new Date().toISOString(), "2020-01-01T00:00:00.000Z");
  time.restore();
  assertThrows(() => time.restore(), TimeError);
  assertThrows(() => new FakeTime("never"), TypeError);
});

Deno.test("testing: fake timers fire in the order of their time, each at its own", () => {
  using time = new FakeTime(0);
  const fired: unknown[] = [];
  const note = (...what: unknown[]): number => fired.push([Date.now(), ...what]);
  setTimeout(note, 20, "late");
  setTimeout(note, 10, "first", 1);
  setTimeout(note, 10, "second");
  const interval = setInterval(note, 15, "every");
  setTimeout(() => setTimeout(note, 0, "made by a timer"), 5);
  clearTimeout(setTimeout(note, 1, "never"));
  time.tick(9);
  assertEquals(fired, [[5, "made by a timer"]]);
  time.tick(21);
  assertEquals(fired.slice(1), [[10, "first", 1], [10, "second"], [15, "every"], [20, "late"], [
    30,
    "every",
  ]]);
  clearInterval(interval);
  time.tick(100);
  assertEquals(fired.length, 6);
});

Deno.test("testing: next() goes to the next timer, and says when there is none", async () => {
  using time = new FakeTime(0);
  let fired = 0;
  setTimeout(() => fired++, 100);
  setTimeout(() => fired++, 200);
  assertEquals([time.next(), time.now, fired], [true, 100, 1]);
  assertEquals([await time.nextAsync(), time.now, fired], [true, 200, 2]);
  assertEquals([time.next(), time.now, fired], [false, 200, 2]);
  setTimeout(() => setTimeout(() => fired++, 50), 50);
  time.runAll();
  assertEquals([time.now, fired], [300, 3]);
  setTimeout(() => fired++, 50);
  await time.runAllAsync();
  assertEquals([time.now, fired], [350, 4]);
});

Deno.test("testing: a callback that throws stops the time there", () => {
  using time = new FakeTime(0);
  let fired = 0;
  setTimeout(() => {
    throw new Error("why");
  }, 10);
  setTimeout(() => fired++, 20);
  assertThrows(() => time.tick(30), Error, "why");
  assertEquals([time.now, fired], [10, 0]);
  time.tick(10);
  assertEquals([time.now, fired], [20, 1]);
});

Deno.test("testing: promises get their turn before the time moves", async () => {
  using time = new FakeTime(0);
  const order: string[] = [];
  const work = (async () => {
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 100));
    order.push("after the timer");
  })();
  await time.tickAsync(100);
  await work;
  assertEquals(order, ["after the timer"]);
});

Deno.test("testing: fake timers bear what is done with real ones", () => {
  using time = new FakeTime();
  let fired = 0;
  const id = setTimeout(() => fired++, 10);
  Deno.unrefTimer(id);
  Deno.refTimer(id);
  clearTimeout(Number(id));
  clearTimeout(undefined);
  clearTimeout(12345);
  time.tick(10);
  assertEquals(fired, 0);
});

Deno.test("testing: AbortSignal.timeout() goes by fake time, and delay() by the real one", async () => {
  using time = new FakeTime();
  const signal = AbortSignal.timeout(50);
  await time.delay(0);
  time.tick(49);
  assertEquals(signal.aborted, false);
  time.tick(1);
  assertEquals(signal.reason.name, "TimeoutError");
});
