/** What an application writes to. */

import type { BaseHandler } from "./handler.ts";
import { getLevelByName, getLevelName, type LevelName, type LogLevel, LogLevels } from "./levels.ts";

// deno-lint-ignore no-explicit-any
export type GenericFunction = (...args: any[]) => any;

/** What a {@linkcode LogRecord} is made of. */
export interface LogRecordOptions {
  /** The message. */
  msg: string;
  /** The values given with it. */
  args: unknown[];
  /** Its level. */
  level: LogLevel;
  /** The logger's name. */
  loggerName: string;
}

/** One message, as a handler gets it. */
export class LogRecord {
  /** The message. */
  readonly msg: string;
  /** Its level. */
  readonly level: LogLevel;
  /** Its level's name. */
  readonly levelName: LevelName;
  /** The logger's name. */
  readonly loggerName: string;
  #args: unknown[];
  #datetime = new Date();

  /** @param options The message and what belongs to it. */
  constructor(options: LogRecordOptions) {
    this.msg = options.msg;
    this.level = options.level;
    this.levelName = getLevelName(options.level);
    this.loggerName = options.loggerName;
    this.#args = [...options.args];
  }

  /** The values given with the message. */
  get args(): unknown[] {
    return [...this.#args];
  }

  /** When it was written. */
  get datetime(): Date {
    return new Date(this.#datetime);
  }
}

/** Options of {@linkcode Logger}. */
export interface LoggerOptions {
  /** Where records go. */
  handlers?: BaseHandler[];
}

type Message<T> = T extends GenericFunction ? never : T;

/** Passes messages of its level and above to its handlers; a message given as a function is made only then. */
export class Logger {
  #name: string;
  #level: LogLevel;
  /** Where records go. */
  handlers: BaseHandler[];

  /**
   * @param loggerName Its name.
   * @param levelName The lowest level it passes on.
   * @param options Its handlers.
   */
  constructor(loggerName: string, levelName: LevelName, options: LoggerOptions = {}) {
    this.#name = loggerName;
    this.#level = getLevelByName(levelName);
    this.handlers = options.handlers ?? [];
  }

  /** Its name. */
  get loggerName(): string {
    return this.#name;
  }

  /** The lowest level it passes on, as a number. */
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    if (!Object.values(LogLevels).includes(level)) throw new TypeError(`Invalid log level: ${level}`);
    this.#level = level;
  }

  /** The lowest level it passes on. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  #log<T>(level: LogLevel, msg: Message<T> | (() => T), args: unknown[]): T | undefined {
    const lazy = typeof msg === "function";
    if (level < this.#level) return lazy ? undefined : msg as T;
    const value = lazy ? (msg as () => T)() : msg as T;
    const record = new LogRecord({ msg: text(value), args, level, loggerName: this.#name });
    for (const handler of this.handlers) handler.handle(record);
    return value;
  }

  /** For somebody reading the code beside the log. */
  debug<T>(msg: () => T, ...args: unknown[]): T | undefined;
  debug<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  debug<T>(msg: Message<T> | (() => T), ...args: unknown[]): T | undefined {
    return this.#log(LogLevels.DEBUG, msg, args);
  }

  /** Something expected happened. */
  info<T>(msg: () => T, ...args: unknown[]): T | undefined;
  info<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  info<T>(msg: Message<T> | (() => T), ...args: unknown[]): T | undefined {
    return this.#log(LogLevels.INFO, msg, args);
  }

  /** Something unexpected happened. */
  warn<T>(msg: () => T, ...args: unknown[]): T | undefined;
  warn<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  warn<T>(msg: Message<T> | (() => T), ...args: unknown[]): T | undefined {
    return this.#log(LogLevels.WARN, msg, args);
  }

  /** Something failed. */
  error<T>(msg: () => T, ...args: unknown[]): T | undefined;
  error<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  error<T>(msg: Message<T> | (() => T), ...args: unknown[]): T | undefined {
    return this.#log(LogLevels.ERROR, msg, args);
  }

  /** Something failed for good. */
  critical<T>(msg: () => T, ...args: unknown[]): T | undefined;
  critical<T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
  critical<T>(msg: Message<T> | (() => T), ...args: unknown[]): T | undefined {
    return this.#log(LogLevels.CRITICAL, msg, args);
  }
}

function text(value: unknown, inside = false): string {
  if (typeof value === "string") return inside ? `"${value}"` : value;
  if (typeof value === "function") return "undefined";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return value.stack ?? value.message;
  return `{${Object.entries(value).map(([key, item]) => `"${key}":${text(item, true)}`).join(",")}}`;
}
