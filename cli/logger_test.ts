import { assertEquals } from "@std/assert";
import { commandLogger } from "./logger.ts";

Deno.test("what a module logs is told from the level asked for upwards, one harmless line each", () => {
  const lines: string[] = [];
  const logger = commandLogger("warn", (text) => lines.push(text));
  logger.info("not shown");
  logger.warn("Cannot go on", new Error("broken\x1b[2J"), 3);
  logger.critical("over");
  assertEquals(lines, ["Cannot go on: broken\\u001b[2J: 3", "over"]);
});

Deno.test("the lowest level shows everything", () => {
  const lines: string[] = [];
  const logger = commandLogger("debug", (text) => lines.push(text));
  logger.debug("a");
  logger.error("b");
  assertEquals(lines, ["a", "b"]);
});
