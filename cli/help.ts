/** The help, written from the command table. */

import { glossary, wrap } from "./columns.ts";
import { HELP_OPTION, LETTERS, VERSION_OPTION } from "./command_table.ts";
import type { ArgumentSpec, CommandSpec, OptionSpec } from "./spec.ts";
import { type Style, styleFor } from "./style.ts";

/** What fits into the narrowest usual terminal, behind two spaces. */
const WIDTH = 76;

const EXIT_CODES =
  "0 fine, 1 failed, 2 usage, 3 permission missing, 4 tool missing, 124 timed out, 130 interrupted";

/**
 * The help of the program.
 *
 * @param table The command table.
 * @param style Colours for headings.
 * @returns Lines, joined.
 */
export function programHelp(table: readonly CommandSpec[], style: Style = styleFor(false)): string {
  return [
    "holdfast - for programs that must stay connected",
    "",
    style.strong("Usage"),
    "  holdfast COMMAND [ARGUMENTS] [OPTIONS]",
    "",
    style.strong("Commands"),
    ...indent(glossary(table.map(({ name, summary }) => [name, summary]), WIDTH)),
    "",
    style.strong("Options"),
    ...indent(glossary([HELP_OPTION, VERSION_OPTION].map(optionRow), WIDTH)),
    "",
    style.strong("Exit codes"),
    ...indent(wrap(EXIT_CODES, WIDTH)),
    "",
    'Run "holdfast help COMMAND" for more on a command.',
  ].join("\n");
}

/**
 * The help of one command.
 *
 * @param command Its row.
 * @param style Colours for headings.
 * @returns Lines, joined.
 */
export function commandHelp(command: CommandSpec, style: Style = styleFor(false)): string {
  const options = [...command.options, HELP_OPTION];
  const lines = [
    `holdfast ${command.name} - ${command.summary}`,
    "",
    style.strong("Usage"),
    `  ${usageLine(command)}`,
    "",
    ...wrap(command.description, WIDTH + 2),
  ];
  if (command.arguments.length > 0) {
    lines.push("", style.strong("Arguments"), ...indent(glossary(command.arguments.map(argumentRow), WIDTH)));
  }
  lines.push("", style.strong("Options"), ...indent(glossary(options.map(optionRow), WIDTH)));
  const examples = command.examples.flatMap(({ run, does }) => [`  # ${does}`, `  ${run}`]);
  lines.push("", style.strong("Examples"), ...examples);
  lines.push("", style.strong("Permissions"), ...indent(wrap(command.permissions, WIDTH)));
  return lines.join("\n");
}

/** How a command is called, in one line. */
export function usageLine(command: CommandSpec): string {
  const args = command.arguments.map((argument) => {
    const name = argument.many ? `${argument.name}...` : argument.name;
    return argument.required ? name : `[${name}]`;
  });
  return ["holdfast", command.name, ...args, "[OPTIONS]"].join(" ");
}

function optionRow(option: OptionSpec): [string, string] {
  const letter = LETTERS[option.name];
  const names = letter === undefined ? `    --${option.name}` : `-${letter}, --${option.name}`;
  return [option.value === undefined ? names : `${names} ${option.value}`, option.summary + details(option)];
}

function argumentRow(argument: ArgumentSpec): [string, string] {
  return [argument.name, argument.summary + details(argument)];
}

function details(spec: { readonly choices?: readonly string[]; readonly default?: string }): string {
  const choices = spec.choices && spec.choices.join() !== "4,6" ? `: ${spec.choices.join(", ")}` : "";
  return choices + (spec.default === undefined ? "" : ` [${spec.default}]`);
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
