import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import * as log from "@std/log";
import { fromLogTape, type Logger, loggerOr, type LogTapeLike, setLogger, silentLogger } from "./log.ts";

const LEVELS = ["debug", "info", "warn", "error", "critical"] as const;

Deno.test("the silent logger says nothing, and nobody can make it talk", () => {
  const written: unknown[] = [];
  const { log: original } = console;
  console.log = (...args) => written.push(args);
  try {
    for (const level of LEVELS) silentLogger[level]("hello", 1);
  } finally {
    console.log = original;
  }
  assertEquals(written, []);
  assertThrows(() => Object.assign(silentLogger, { debug: console.log }), TypeError);
});

Deno.test("loggerOr() prefers the logger given, then the process-wide one, then silence", () => {
  const given: Logger = { ...silentLogger };
  const general: Logger = { ...silentLogger };
  assertStrictEquals(loggerOr(undefined), silentLogger);
  setLogger(general);
  try {
    assertStrictEquals(loggerOr(undefined), general);
    assertStrictEquals(loggerOr(given), given);
  } finally {
    setLogger(undefined);
  }
  assertStrictEquals(loggerOr(undefined), silentLogger);
});

Deno.test("a logger of @std/log fits as it is", () => {
  const records: [string, string, unknown[]][] = [];
  class Recorder extends log.BaseHandler {
    override handle(record: log.LogRecord): void {
      records.push([record.levelName, record.msg, record.args]);
    }
    log(): void {}
  }
  const logger: Logger = new log.Logger("test", "DEBUG", { handlers: [new Recorder("DEBUG")] });
  for (const level of LEVELS) logger[level](`to ${level}`, 1, { a: 2 });
  assertEquals(records, LEVELS.map((level) => [level.toUpperCase(), `to ${level}`, [1, { a: 2 }]]));
});

Deno.test("fromLogTape() calls LogTape's method of that level, critical as fatal, with the values as a property", () => {
  const records: unknown[][] = [];
  /** Methods that need their object, as those of LogTape do. */
  class Tape implements LogTapeLike {
    readonly #records = records;
    debug = this.#record("debug");
    info = this.#record("info");
    warn = this.#record("warn");
    error = this.#record("error");
    fatal(message: string, properties?: Record<string, unknown>): void {
      this.#records.push(["fatal", message, properties]);
    }
    #record(level: string): LogTapeLike["debug"] {
      return (message, properties) => void this.#records.push([level, message, properties]);
    }
  }
  const logger = fromLogTape(new Tape());
  for (const level of LEVELS) logger[level]("hello", 1, "two");
  logger.info("bare");
  assertEquals(records, [
    ...["debug", "info", "warn", "error", "fatal"].map((level) => [level, "hello", { values: [1, "two"] }]),
    ["info", "bare", {}],
  ]);
});

Deno.test("fromLogTape() doubles braces, which would be placeholders", () => {
  const messages: string[] = [];
  const method = (message: string): void => void messages.push(message);
  const logger = fromLogTape({ debug: method, info: method, warn: method, error: method, fatal: method });
  logger.warn('line {"a": {}} and {values}');
  assertEquals(messages, ['line {{"a": {{}}}} and {{values}}']);
});
