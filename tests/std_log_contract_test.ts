/** What we rely on in `@std/log` 0.224: holds for the stand-in in `dev/std/` and for the real library alike. */

import { assertEquals, assertExists, assertStrictEquals, assertThrows, fail } from "@std/assert";
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

Deno.test("a logger passes records of its level and above to handlers of theirs", () => {
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

Deno.test("messages that are no text become text, and a function only when it is wanted", () => {
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

Deno.test("setup() makes loggers by name, and getLogger() finds them", () => {
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

Deno.test("the console handler writes a line, without colours when asked", () => {
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
