/** Logging as a guest: five methods, silent until the application brings a logger. */

/**
 * The logger Holdfast writes to: a logger of `@std/log` fits as it is.
 *
 * Each method takes a message and, where there are any, the values that belong to it. Secrets are never among them.
 */
export interface Logger {
  /** For somebody reading the code beside the log. */
  debug(message: string, ...values: unknown[]): void;
  /** Something expected happened. */
  info(message: string, ...values: unknown[]): void;
  /** Something unexpected happened and was handled. */
  warn(message: string, ...values: unknown[]): void;
  /** Something failed. */
  error(message: string, ...values: unknown[]): void;
  /** Something failed for good. */
  critical(message: string, ...values: unknown[]): void;
}

function nothing(): void {}

/** The logger that says nothing. */
export const silentLogger: Logger = Object.freeze({
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  critical: nothing,
});

let current: Logger = silentLogger;

/**
 * Sets the logger used wherever none is given by option.
 *
 * @param logger The process-wide default; `undefined` makes Holdfast silent again.
 */
export function setLogger(logger: Logger | undefined): void {
  current = logger ?? silentLogger;
}

/** The logger to use: the one given, else the process-wide default. */
export function loggerOr(logger: Logger | undefined): Logger {
  return logger ?? current;
}

/**
 * Reports what the application's own code threw when it was called: a bug that must be seen, on the console where nobody
 * has set a logger.
 *
 * @param logger The logger given by option, if any.
 * @param message Where it happened.
 * @param error What was thrown.
 */
export function logUncaught(logger: Logger | undefined, message: string, error: unknown): void {
  const to = loggerOr(logger);
  if (to === silentLogger) console.error(`${message}:`, error);
  else to.error(message, error);
}

/** The methods of a LogTape logger that {@linkcode fromLogTape} uses. */
export interface LogTapeLike {
  /** LogTape's method of the same name: a message and its properties. */
  debug(message: string, properties?: Record<string, unknown>): void;
  /** See {@linkcode LogTapeLike.debug}. */
  info(message: string, properties?: Record<string, unknown>): void;
  /** See {@linkcode LogTapeLike.debug}. */
  warn(message: string, properties?: Record<string, unknown>): void;
  /** See {@linkcode LogTapeLike.debug}. */
  error(message: string, properties?: Record<string, unknown>): void;
  /** See {@linkcode LogTapeLike.debug}. */
  fatal(message: string, properties?: Record<string, unknown>): void;
}

/**
 * Makes a {@linkcode Logger} of a LogTape logger.
 *
 * LogTape reads `{name}` in a message as a placeholder, so braces are doubled; values travel as the property `values`.
 *
 * @param logger What LogTape's `getLogger()` returned.
 * @returns A logger to give to Holdfast.
 */
export function fromLogTape(logger: LogTapeLike): Logger {
  const to = (level: keyof LogTapeLike) => (message: string, ...values: unknown[]): void => {
    const escaped = message.replaceAll("{", "{{").replaceAll("}", "}}");
    logger[level](escaped, values.length > 0 ? { values } : {});
  };
  return {
    debug: to("debug"),
    info: to("info"),
    warn: to("warn"),
    error: to("error"),
    critical: to("fatal"),
  };
}
