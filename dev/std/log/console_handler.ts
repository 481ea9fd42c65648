/** A handler for the console. */

import { BaseHandler, type BaseHandlerOptions } from "./handler.ts";
import type { LevelName } from "./levels.ts";
import type { LogRecord } from "./logger.ts";

/** Options of {@linkcode ConsoleHandler}. */
export interface ConsoleHandlerOptions extends BaseHandlerOptions {
  /**
   * Whether a record is coloured by its level.
   *
   * @default {true}
   */
  useColors?: boolean;
}

const codes: Partial<Record<number, readonly [on: string, off: string]>> = {
  20: ["\x1b[34m", "\x1b[39m"],
  30: ["\x1b[33m", "\x1b[39m"],
  40: ["\x1b[31m", "\x1b[39m"],
  50: ["\x1b[1m\x1b[31m", "\x1b[39m\x1b[22m"],
};

/** Writes records by `console.log()`. */
export class ConsoleHandler extends BaseHandler {
  #useColors: boolean;

  /**
   * @param levelName The lowest level it writes.
   * @param options How it writes.
   */
  constructor(levelName: LevelName, options: ConsoleHandlerOptions = {}) {
    super(levelName, options);
    this.#useColors = options.useColors ?? true;
  }

  override format(logRecord: LogRecord): string {
    const text = super.format(logRecord);
    return this.#useColors ? this.applyColors(text, logRecord.level) : text;
  }

  /** Colours a text by its level, where the runtime shows colours. */
  applyColors(msg: string, level: number): string {
    const [on, off] = codes[level] ?? ["", ""];
    return Deno.noColor ? msg : on + msg + off;
  }

  override log(msg: string): void {
    console.log(msg);
  }
}
