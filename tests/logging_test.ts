/** The loggers that people bring: `@std/log` as it is, LogTape by an adapter. */

import { assertEquals } from "@std/assert";
import { BaseHandler, Logger as StdLogger } from "@std/log";
import { configure, getLogger, type LogRecord, reset } from "npm:@logtape/logtape@^2.4.2";
import { fromLogTape, type Logger } from "../internal/log.ts";

const message = "a message with {braces} and { a space }";

/** One call of each method; three with values. */
function useAll(logger: Logger): void {
  logger.debug(message);
  logger.info(message, 1);
  logger.warn(message, { a: 1 }, [2]);
  logger.error(message, new Error("why").message);
  logger.critical(message);
}

const values = [[], [1], [{ a: 1 }, [2]], ["why"], []];

Deno.test("a logger of @std/log fits as it is, and gets message, level and values", () => {
  const lines: unknown[] = [];
  class Lines extends BaseHandler {
    override handle({ levelName, msg, args }: { levelName: string; msg: string; args: unknown[] }): void {
      lines.push([levelName, msg, args]);
    }
    override log(): void {}
  }
  // The type check of this line is half of the test.
  const logger: Logger = new StdLogger("net", "DEBUG", { handlers: [new Lines("DEBUG")] });
  useAll(logger);
  const levels = ["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"];
  assertEquals<unknown>(lines, levels.map((level, at) => [level, message, values[at]]));
});

Deno.test("a LogTape logger fits by fromLogTape(), and gets message, level and values", async () => {
  const records: LogRecord[] = [];
  await configure({
    sinks: { memory: (record) => void records.push(record) },
    loggers: [
      { category: "net", lowestLevel: "debug", sinks: ["memory"] },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    useAll(fromLogTape(getLogger("net")));
  } finally {
    await reset();
  }
  const levels = ["debug", "info", "warning", "error", "fatal"] as const;
  assertEquals<unknown>(
    records.map(({ level, message, properties }) => [level, message.join(""), properties["values"] ?? []]),
    levels.map((level, at) => [level, message, values[at]]),
  );
});
