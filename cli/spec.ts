/** What a command is: the row of the command table, and what its code gets to work with. */

import type { Source } from "./input.ts";
import type { Style } from "./style.ts";
import type { Values } from "./values.ts";

/** How the text behind an option is read. */
export type OptionType = "string" | "boolean" | "duration" | "size" | "count" | "choice" | "list";

/** One option of a command. */
export interface OptionSpec {
  /** Its name, without the dashes. */
  readonly name: string;
  /** How its value is read; a `list` may be given several times. */
  readonly type: OptionType;
  /** What it does, one line for the help. */
  readonly summary: string;
  /** What stands for the value in the help, for example `"SERVER"`; not for `boolean`. */
  readonly value?: string;
  /** The values it may have; for `choice`, and for a `list` of fixed words. */
  readonly choices?: readonly string[];
  /** What it is when not given, as one would type it. */
  readonly default?: string;
}

/** One argument of a command. */
export interface ArgumentSpec {
  /** What stands for it in the help, for example `"HOST:PORT"`. */
  readonly name: string;
  /** What it is, one line for the help. */
  readonly summary: string;
  /** Whether the command cannot do without. */
  readonly required: boolean;
  /** Whether any number of them may follow; only the last argument of a command. */
  readonly many?: boolean;
  /** The words it may be. */
  readonly choices?: readonly string[];
}

/** An example in the help. */
export interface ExampleSpec {
  /** What to type. */
  readonly run: string;
  /** What that does. */
  readonly does: string;
}

/** One row of the command table: it drives parsing, help, completion and the messages about mistakes. */
export interface CommandSpec {
  /** What to type. */
  readonly name: string;
  /** What it does, one line. */
  readonly summary: string;
  /** What else is to know, in full sentences. */
  readonly description: string;
  /** Its arguments, in order. */
  readonly arguments: readonly ArgumentSpec[];
  /** Its options, besides those that all commands have. */
  readonly options: readonly OptionSpec[];
  /** Examples for the help. */
  readonly examples: readonly ExampleSpec[];
  /** The permissions it needs, for people. */
  readonly permissions: string;
  /** Loads its code; called only when the command runs. */
  readonly load: () => Promise<CommandModule>;
}

/** The code of a command. */
export interface CommandModule {
  /**
   * Does it.
   *
   * @param context What was typed, where to write, and the signal that ends it.
   * @returns The exit code.
   */
  run(context: Context): Promise<number>;
}

/** One line for programs: every line of `--json` has a type. */
export interface Line {
  /** The tag. */
  readonly type: string;
  /** Its time in milliseconds since 1970; now, where it has none. */
  readonly at?: number;
}

/** What a command gets to work with. */
export interface Context {
  /** The arguments. */
  readonly args: readonly string[];
  /** The options. */
  readonly values: Values;
  /** Whether to write JSON lines instead of text. */
  readonly json: boolean;
  /** Colours for standard output, where they make sense. */
  readonly style: Style;
  /** Aborted when the process is told to end. */
  readonly signal: AbortSignal;
  /** Standard input; nothing is read before somebody asks. */
  readonly stdin: Source;
  /** Writes bytes to standard output, as they are. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes text and a line end to standard output; for people. */
  print(text: string): Promise<void>;
  /** Writes one line of JSON to standard output; for programs. */
  emit<L extends Line>(line: L): Promise<void>;
  /** Writes a remark to standard error, if a person is there to read it. */
  note(text: string): Promise<void>;
  /** Shows a text as the last line at a terminal, in place of the one before; an empty one takes it away. */
  live(text: string): Promise<void>;
  /** Writes what went wrong to standard error, for whoever keeps it. */
  complain(text: string): Promise<void>;
}
