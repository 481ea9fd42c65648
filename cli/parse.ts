/** From arguments to a call: `parseArgs` of the standard library, made strict by the command table. */

import { parseArgs } from "@std/cli/parse-args";
import { HELP_OPTION, LETTERS, VERSION_OPTION } from "./command_table.ts";
import type { CommandSpec, OptionSpec } from "./spec.ts";
import { nearest } from "./suggest.ts";
import { parseCount, type Parsed, parseDuration, parseSize } from "./units.ts";
import { UsageError } from "./usage_error.ts";
import { type Value, Values } from "./values.ts";

/** What was asked for. */
export type Request =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly command: CommandSpec | undefined }
  | {
    readonly kind: "run";
    readonly command: CommandSpec;
    readonly args: readonly string[];
    readonly values: Values;
  };

/**
 * Reads a command line.
 *
 * @param table The command table.
 * @param argv The arguments, without the program's name.
 * @returns What was asked for.
 * @throws {UsageError} On anything that the table does not know.
 */
export function parseCommandLine(table: readonly CommandSpec[], argv: readonly string[]): Request {
  const [first, ...rest] = argv;
  if (first === undefined || first === "--help" || first === "-h") {
    return { kind: "help", command: undefined };
  }
  if (first === "--version" || first === "-V") return { kind: "version" };
  if (first.startsWith("-")) throw misplaced(table, first);
  const command = findCommand(table, first);
  return parseCommand(command, rest);
}

/**
 * The row of a command.
 *
 * @param table The command table.
 * @param name Its name, as typed.
 * @returns The row.
 * @throws {UsageError} When there is none.
 */
export function findCommand(table: readonly CommandSpec[], name: string): CommandSpec {
  const command = table.find((row) => row.name === name);
  if (command) return command;
  throw new UsageError(
    `Cannot run "holdfast ${name}": unknown command`,
    didYouMean(name, table.map((row) => row.name)) ?? 'Run "holdfast help" to see the commands',
  );
}

function misplaced(table: readonly CommandSpec[], typed: string): UsageError {
  const option = `--${typed.replace(/^-+/, "").replace(/=.*$/, "")}`;
  if (table.some((row) => row.options.some(({ name }) => `--${name}` === option))) {
    return new UsageError(
      `Cannot run "holdfast": the option "${option}" stands before the command`,
      `Write it behind: "holdfast COMMAND ${option}"`,
    );
  }
  const known = [HELP_OPTION, VERSION_OPTION].map(({ name }) => `--${name}`);
  return new UsageError(
    `Cannot run "holdfast": unknown option "${typed}"`,
    didYouMean(option, known) ?? 'Run "holdfast help" to see the commands',
  );
}

function parseCommand(command: CommandSpec, argv: readonly string[]): Request {
  const options = [...command.options, HELP_OPTION];
  const unknown: string[] = [];
  // The parser keeps positional arguments under this name, and cannot tell an option of the same name apart.
  const reserved = beforeTerminator(argv).find((arg) => /^--(?:no-)?_(?:=|$)/.test(arg));
  if (reserved !== undefined) throw unknownOption(command, options, reserved);
  const parsed = parseArgs(argv, {
    "--": true,
    alias: Object.fromEntries(options.flatMap(({ name }) => name in LETTERS ? [[name, LETTERS[name]]] : [])),
    boolean: options.filter(({ type }) => type === "boolean").map(({ name }) => name),
    string: ["_", ...options.filter(({ type }) => type !== "boolean").map(({ name }) => name)],
    // All of them, so that one given twice is seen.
    collect: options.filter(({ type }) => type !== "boolean").map(({ name }) => name),
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg);
      return false;
    },
  }) as Record<string, unknown> & { readonly _: readonly string[]; readonly "--": readonly string[] };
  if (parsed.help === true) return { kind: "help", command };
  refuseValues(command, options, argv);
  const values = readOptions(command, options, parsed);
  if (unknown[0] !== undefined) throw unknownOption(command, options, unknown[0]);
  const args = [...parsed._, ...parsed["--"]];
  checkArguments(command, args);
  return { kind: "run", command, args, values };
}

/** The arguments that may be options: those before `--`. */
function beforeTerminator(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end < 0 ? argv : argv.slice(0, end);
}

/** `parseArgs` takes `--json=yes` and `--json true` for a boolean; here a boolean has no value. */
function refuseValues(command: CommandSpec, options: readonly OptionSpec[], argv: readonly string[]): void {
  for (const [i, arg] of beforeTerminator(argv).entries()) {
    const [, name, value] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const option = options.find((o) => o.name === name);
    if (option?.type === "boolean") {
      const next = argv[i + 1];
      const got = value ?? (next === "true" || next === "false" ? next : undefined);
      if (got !== undefined) {
        throw mistake(command, `the option "--${name}" takes no value, got "${got}"`, `Write "--${name}"`);
      }
    } else if (option && value === "") throw missingValue(command, option);
  }
}

function readOptions(
  command: CommandSpec,
  options: readonly OptionSpec[],
  parsed: Readonly<Record<string, unknown>>,
): Values {
  const values = new Map<string, Value>();
  for (const option of options) {
    if (option.type === "boolean") {
      values.set(option.name, parsed[option.name] === true);
      continue;
    }
    const typed = parsed[option.name] as readonly string[];
    if (typed.includes("")) throw missingValue(command, option);
    if (typed.length > 1 && option.type !== "list") {
      throw mistake(command, `the option "--${option.name}" is given ${typed.length} times`, "Give it once");
    }
    const texts = typed.length === 0 && option.default !== undefined ? [option.default] : typed;
    const read = texts.map((text) => readValue(command, option, text));
    if (option.type === "list") values.set(option.name, read.map(String));
    else if (read[0] !== undefined) values.set(option.name, read[0]);
  }
  return new Values(values);
}

function readValue(command: CommandSpec, option: OptionSpec, text: string): string | number {
  if (option.choices && !option.choices.includes(text)) {
    const choices = option.choices.join(", ");
    throw mistake(
      command,
      `the option "--${option.name}" cannot be "${text}"`,
      didYouMean(text, option.choices) ?? `It can be one of: ${choices}`,
    );
  }
  const readers: Partial<Record<OptionSpec["type"], (text: string) => Parsed<number>>> = {
    duration: parseDuration,
    size: parseSize,
    count: parseCount,
  };
  const parsed = readers[option.type]?.(text);
  if (!parsed) return text;
  if (!parsed.ok) throw mistake(command, `bad value of "--${option.name}": ${parsed.why}`, parsed.hint);
  return parsed.value;
}

function checkArguments(command: CommandSpec, args: readonly string[]): void {
  const specs = command.arguments;
  const missing = specs.find((spec, i) => spec.required && args.length <= i);
  if (missing) {
    throw mistake(
      command,
      `the argument ${missing.name} is missing`,
      missing.choices
        ? `It can be one of: ${missing.choices.join(", ")}`
        : `Run "holdfast help ${command.name}"`,
    );
  }
  for (const [i, arg] of args.entries()) {
    const spec = specs[i] ?? (specs.at(-1)?.many ? specs.at(-1) : undefined);
    if (!spec) {
      throw mistake(
        command,
        `extra argument "${arg}"`,
        `Run "holdfast help ${command.name}" to see what it takes`,
      );
    }
    if (spec.choices && !spec.choices.includes(arg)) {
      throw mistake(
        command,
        `unknown ${spec.name} "${arg}"`,
        didYouMean(arg, spec.choices) ?? `It can be one of: ${spec.choices.join(", ")}`,
      );
    }
  }
}

function unknownOption(command: CommandSpec, options: readonly OptionSpec[], arg: string): UsageError {
  const typed = arg.replace(/=.*$/s, "");
  const name = typed.replace(/^-+/, "");
  const meant = nearest(name, options.map((o) => o.name));
  return mistake(
    command,
    `unknown option "${typed}"`,
    meant === undefined
      ? `Run "holdfast help ${command.name}" to see the options`
      : `Did you mean "--${meant}"?`,
  );
}

function missingValue(command: CommandSpec, option: OptionSpec): UsageError {
  const example = option.choices ? `one of: ${option.choices.join(", ")}` : `${option.value ?? "VALUE"}`;
  return mistake(
    command,
    `the option "--${option.name}" needs a value`,
    `Write "--${option.name}" and ${example}`,
  );
}

function mistake(command: CommandSpec, why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast ${command.name}": ${why}`, hint);
}

function didYouMean(typed: string, known: readonly string[]): string | undefined {
  const meant = nearest(typed, known);
  return meant === undefined ? undefined : `Did you mean "${meant}"?`;
}
