/** What writes records somewhere. */

import { getLevelByName, getLevelName, type LevelName, type LogLevel } from "./levels.ts";
import type { LogRecord } from "./logger.ts";

/** Makes the text of a record. */
export type FormatterFunction = (logRecord: LogRecord) => string;

/** Options of {@linkcode BaseHandler}. */
export interface BaseHandlerOptions {
  /** Makes the text of a record; the level and the message unless given. */
  formatter?: FormatterFunction;
}

/** A handler to build one's own on. */
export abstract class BaseHandler {
  #level: LogLevel;
  /** Makes the text of a record. */
  formatter: FormatterFunction;

  /**
   * @param levelName The lowest level it writes.
   * @param options How it writes.
   */
  constructor(levelName: LevelName, options: BaseHandlerOptions = {}) {
    this.#level = getLevelByName(levelName);
    this.formatter = options.formatter ?? (({ levelName, msg }) => `${levelName} ${msg}`);
  }

  /** The lowest level it writes, as a number. */
  get level(): LogLevel {
    return this.#level;
  }

  /** The lowest level it writes. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }

  /** Writes the record, if its level is high enough. */
  handle(logRecord: LogRecord): void {
    if (logRecord.level >= this.#level) this.log(this.format(logRecord));
  }

  /** The text of a record. */
  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }

  /** Writes the text. */
  abstract log(msg: string): void;

  /** Called before the first record. */
  setup(): void {}

  /** Called after the last record. */
  destroy(): void {}
}
