/** The loggers of a process by name. */

import { ConsoleHandler } from "./console_handler.ts";
import type { BaseHandler } from "./handler.ts";
import type { LevelName } from "./levels.ts";
import { Logger } from "./logger.ts";

/** One logger of a {@linkcode LogConfig}. */
export interface LoggerConfig {
  /** The lowest level it passes on; `INFO` unless given. */
  level?: LevelName;
  /** Its handlers' names. */
  handlers?: string[];
}

/** What {@linkcode setup} takes. */
export interface LogConfig {
  /** The handlers by name. */
  handlers?: Record<string, BaseHandler>;
  /** The loggers by name; `default` is the one without a name. */
  loggers?: Record<string, LoggerConfig>;
}

const defaults = {
  handlers: { default: new ConsoleHandler("INFO") },
  loggers: { default: { level: "INFO", handlers: ["default"] } },
} as const;

const handlers = new Map<string, BaseHandler>();
const loggers = new Map<string, Logger>();

/** Replaces all handlers and loggers. */
export function setup(config: LogConfig): void {
  for (const handler of handlers.values()) handler.destroy();
  handlers.clear();
  loggers.clear();
  for (const [name, handler] of Object.entries({ ...defaults.handlers, ...config.handlers })) {
    handler.setup();
    handlers.set(name, handler);
  }
  const wanted: Record<string, Readonly<{ level?: LevelName; handlers?: readonly string[] }>> = {
    ...defaults.loggers,
    ...config.loggers,
  };
  for (const [name, { level = "INFO", handlers: names = [] }] of Object.entries(wanted)) {
    const own = names.flatMap((name) => handlers.get(name) ?? []);
    loggers.set(name, new Logger(name, level, { handlers: own }));
  }
}

/** The logger of that name, the default one without; one that is not set up writes nothing. */
export function getLogger(name = "default"): Logger {
  const logger = loggers.get(name || "default") ?? new Logger(name, "NOTSET");
  loggers.set(name || "default", logger);
  return logger;
}

setup({});
