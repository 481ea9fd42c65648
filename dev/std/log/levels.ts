/** The levels of a log. */

/** The levels by name, as numbers that can be compared. */
export const LogLevels = { NOTSET: 0, DEBUG: 10, INFO: 20, WARN: 30, ERROR: 40, CRITICAL: 50 } as const;

/** A level as a number. */
export type LogLevel = typeof LogLevels[LevelName];

/** A level's name. */
export type LevelName = keyof typeof LogLevels;

/** The number of a level. */
export function getLevelByName(name: LevelName): LogLevel {
  const level = LogLevels[name];
  if (level === undefined) throw new Error(`Cannot get log level: no level named ${name}`);
  return level;
}

/** The name of a level. */
export function getLevelName(level: LogLevel): LevelName {
  for (const [name, number] of Object.entries(LogLevels)) if (number === level) return name as LevelName;
  throw new Error(`Cannot get log level: no name for level: ${level}`);
}
