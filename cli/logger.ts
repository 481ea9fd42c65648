/** What the modules have to say while a command runs: to standard error, by `@std/log`. */

import { BaseHandler, type LevelName, Logger, type LogRecord } from "@std/log";
import { printable } from "./style.ts";

/** The values of `--log`, and what they are called in `@std/log`. */
const LEVELS: Readonly<Record<string, LevelName>> = {
  debug: "DEBUG",
  info: "INFO",
  warn: "WARN",
  error: "ERROR",
};

/** Hands each record on as text. */
class TextHandler extends BaseHandler {
  readonly #write: (text: string) => void;

  constructor(level: LevelName, write: (text: string) => void) {
    super(level, { formatter: textOf });
    this.#write = write;
  }

  override log(text: string): void {
    this.#write(text);
  }
}

/**
 * A logger for the modules that a command uses.
 *
 * @param level The lowest level to show, as given by `--log`.
 * @param write Takes one line without its end.
 * @returns A logger of `@std/log`.
 */
export function commandLogger(level: string, write: (text: string) => void): Logger {
  const levelName = LEVELS[level] ?? "WARN";
  return new Logger("holdfast", levelName, { handlers: [new TextHandler(levelName, write)] });
}

function textOf({ msg, args }: LogRecord): string {
  const values = args.map((value) => value instanceof Error ? value.message : String(value));
  return printable([msg, ...values].join(": "));
}
