/** Completion scripts, written from the command table: the shell then needs no call of ours for each press of Tab. */

import { HELP_OPTION, VERSION_OPTION } from "./command_table.ts";
import type { CommandSpec, OptionSpec } from "./spec.ts";

/**
 * The script that completes `holdfast` in a shell.
 *
 * @param table The command table.
 * @param shell `bash`, `zsh` or `fish`.
 * @returns The script.
 */
export function completionScript(table: readonly CommandSpec[], shell: string): string {
  switch (shell) {
    case "bash":
      return bash(table);
    case "zsh":
      return zsh(table);
    case "fish":
      return fish(table);
    default:
      throw new RangeError(`Cannot write a completion script: unknown shell "${shell}"`);
  }
}

/** The words an option or argument may be, per command; `help` takes the names of commands. */
function argumentWords(command: CommandSpec, table: readonly CommandSpec[]): readonly string[] {
  if (command.name === "help") return table.map(({ name }) => name);
  return command.arguments.flatMap(({ choices }) => choices ?? []);
}

function optionsOf(command: CommandSpec): readonly OptionSpec[] {
  return [...command.options, HELP_OPTION];
}

/** Options with words to choose from, grouped by the words: `--family` has the same ones in several commands. */
function choiceOptions(table: readonly CommandSpec[]): Map<string, Set<string>> {
  const groups = new Map<string, Set<string>>();
  for (const command of table) {
    for (const { name, choices } of command.options) {
      if (!choices) continue;
      const words = choices.join(" ");
      groups.set(words, (groups.get(words) ?? new Set()).add(`--${name}`));
    }
  }
  return groups;
}

/** Options with a value that no list knows; nothing is to be offered behind them. */
function freeOptions(table: readonly CommandSpec[]): string[] {
  const names = table.flatMap(({ options }) => options)
    .filter(({ type, choices }) => type !== "boolean" && !choices)
    .map(({ name }) => `--${name}`);
  return [...new Set(names)];
}

/** What stands behind an option, then what a command takes: the same `case` statements in bash and in zsh. */
function cases(table: readonly CommandSpec[]): { readonly values: string[]; readonly words: string[] } {
  const values = [...choiceOptions(table)].map(([words, names]) =>
    `    ${[...names].join("|")}) words="${words}" ;;`
  );
  const words = table.map((command) => {
    const all = [...argumentWords(command, table), ...optionsOf(command).map(({ name }) => `--${name}`)];
    return `    ${command.name}) words="${all.join(" ")}" ;;`;
  });
  return { values: [...values, `    ${freeOptions(table).join("|")}) return ;;`], words };
}

function firstWords(table: readonly CommandSpec[]): string {
  return [...table.map(({ name }) => name), `--${HELP_OPTION.name}`, `--${VERSION_OPTION.name}`].join(" ");
}

function bash(table: readonly CommandSpec[]): string {
  const { values, words } = cases(table);
  return `# bash completion for holdfast
_holdfast() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  COMPREPLY=()
  # "--backend=po" comes as three words, the second of them "="
  if [ "$cur" = "=" ]; then cur=""; fi
  if [ "$prev" = "=" ]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${firstWords(table)}" -- "$cur"))
    return
  fi
  case "$prev" in
${values.join("\n")}
    *)
      case "\${COMP_WORDS[1]}" in
${words.map((line) => `    ${line}`).join("\n")}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _holdfast holdfast`;
}

function zsh(table: readonly CommandSpec[]): string {
  const { values, words } = cases(table);
  const names = table.map(({ name, summary }) => `      ${quote(`${name}:${summary}`)}`);
  return `#compdef holdfast
_holdfast() {
  local previous="\${words[CURRENT-1]}" command="\${words[2]}"
  if (( CURRENT == 2 )); then
    local -a commands=(
${names.join("\n")}
    )
    _describe command commands
    compadd -- --${HELP_OPTION.name} --${VERSION_OPTION.name}
    return
  fi
  # "--backend=po" is one word here
  if [[ "$PREFIX" == --*=* ]]; then
    previous="\${PREFIX%%=*}"
    compset -P '*='
  fi
  local words=""
  case "$previous" in
${values.join("\n")}
    *)
      case "$command" in
${words.map((line) => `    ${line}`).join("\n")}
      esac
      ;;
  esac
  compadd -- \${=words}
}
if [[ "\${funcstack[1]}" == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi`;
}

function fish(table: readonly CommandSpec[]): string {
  const lines = ["# fish completion for holdfast", "complete -c holdfast -f"];
  const first = "complete -c holdfast -n __fish_use_subcommand";
  for (const { name, summary } of table) lines.push(`${first} -a ${name} -d ${quote(summary)}`);
  for (const { name, summary } of [HELP_OPTION, VERSION_OPTION]) {
    lines.push(`${first} -l ${name} -d ${quote(summary)}`);
  }
  for (const command of table) {
    const line = `complete -c holdfast -n "__fish_seen_subcommand_from ${command.name}"`;
    const words = argumentWords(command, table);
    if (words.length > 0) lines.push(`${line} -a ${quote(words.join(" "))}`);
    for (const { name, type, summary, choices } of optionsOf(command)) {
      const value = type === "boolean" ? "" : choices ? ` -x -a ${quote(choices.join(" "))}` : " -x";
      lines.push(`${line} -l ${name}${value} -d ${quote(summary)}`);
    }
  }
  return lines.join("\n");
}

/** A text in single quotes; none of ours holds one, and none may. */
function quote(text: string): string {
  if (/['\\\n]/.test(text)) throw new RangeError(`Cannot quote "${text}" for a shell`);
  return `'${text}'`;
}
