/** A stand-in for `@std/log` 0.224, which the standard library no longer carries. */

export { ConsoleHandler, type ConsoleHandlerOptions } from "./console_handler.ts";
export { formatters, jsonFormatter } from "./formatters.ts";
export { BaseHandler, type BaseHandlerOptions, type FormatterFunction } from "./handler.ts";
export { getLevelByName, getLevelName, type LevelName, type LogLevel, LogLevels } from "./levels.ts";
export {
  type GenericFunction,
  Logger,
  type LoggerOptions,
  LogRecord,
  type LogRecordOptions,
} from "./logger.ts";
export { getLogger, type LogConfig, type LoggerConfig, setup } from "./setup.ts";
