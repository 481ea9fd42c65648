/** `holdfast explain TEXT...`. */

import { HoldfastError } from "../../internal/errors.ts";
import { classifyText } from "../../recover/classify.ts";
import { SCENARIO_IDS } from "../../recover/scenarios/ids.ts";
import { scenarios } from "../../recover/scenarios/mod.ts";
import type { Scenario } from "../../recover/scenarios/scenario.ts";
import { columns, wrap } from "../columns.ts";
import { EXIT } from "../failure.ts";
import { findScenarios, knownWords, type Match, SYSTEMS } from "../find_scenarios.ts";
import type { Context, Line } from "../spec.ts";
import type { Style } from "../style.ts";
import { nearest } from "../suggest.ts";
import { UsageError } from "../usage_error.ts";

/** One scenario; the line of `--json`. */
export interface ExplainLine extends Line, Omit<Scenario, "id"> {
  /** The tag. */
  readonly type: "explain";
  /** The scenario's name. */
  readonly scenario: string;
  /** What it was found by, or `null` where all were asked for. */
  readonly by: string | null;
}

/** How many scenarios are named besides the likeliest. */
const OTHERS = 5;

/** How much of standard input is looked at, in characters: the end, where a program says why it ended. */
const LONGEST = 4096;

/** How much of the text stands in an error. */
const QUOTED = 60;

/** What fits into the narrowest usual terminal, behind two spaces. */
const WIDTH = 76;

/** Explains a message, or lists all scenarios. */
export async function run(context: Context): Promise<number> {
  const { args, values, json, emit, print, style } = context;
  if (values.flag("all")) {
    if (args.length > 0) throw mistake('"--all" takes no text', 'Leave out the text, or "--all"');
    if (json) { for (const scenario of scenarios) await emit(lineOf({ scenario, by: null })); }
    else await print(list(scenarios, style).join("\n"));
    return EXIT.fine;
  }
  const text = args.length === 1 && args[0] === "-" ? await readInput(context) : args.join(" ");
  if (text.trim() === "") throw mistake("there is no text", 'Write an error message behind it, or "--all"');
  const matches = findScenarios(text, SYSTEMS.find((system) => system === values.text("os"))).slice(
    0,
    1 + OTHERS,
  );
  const [best, ...others] = matches;
  if (!best) throw unknown(text.trim());
  if (json) { for (const match of matches) await emit(lineOf(match)); }
  else await print([...formatScenario(best.scenario, style), ...formatOthers(others, style)].join("\n"));
  return EXIT.fine;
}

/**
 * A scenario for people.
 *
 * @param scenario The scenario.
 * @param style Colours.
 * @returns The lines.
 */
export function formatScenario(scenario: Scenario, style: Style): string[] {
  const { id, number, title, symptom, cause, detection, remedy, code } = scenario;
  const part = (heading: string, text: string): string[] => [
    "",
    style.strong(heading),
    ...wrap(text, WIDTH).map((line) => `  ${line}`),
  ];
  return [
    style.strong(title),
    style.dim(`${id} (${number})`),
    ...part("You see", symptom),
    ...part("Because", cause),
    ...part("To be sure", detection),
    ...part("What to do", remedy),
    "",
    ...code.split("\n").map((line) => line === "" ? "" : `  ${line}`),
  ];
}

function formatOthers(others: readonly Match[], style: Style): string[] {
  if (others.length === 0) return [];
  return [
    "",
    style.strong("It may also be"),
    ...list(others.map(({ scenario }) => scenario), style).map((line) => `  ${line}`),
    "",
    'Run "holdfast explain NAME" for more on one of them.',
  ];
}

function list(some: readonly Scenario[], style: Style): string[] {
  return columns(some.map(({ id, number, title }) => [style.dim(number), id, title]));
}

function lineOf(
  { scenario: { id, ...scenario }, by }: Omit<Match, "by"> & { by: string | null },
): ExplainLine {
  return { type: "explain", scenario: id, by, ...scenario };
}

/** The last lines of standard input. */
async function readInput({ signal, note }: Context): Promise<string> {
  if (Deno.stdin.isTerminal()) await note("Paste the message, then press Ctrl-D");
  const reader = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
  const stop = (): void => void reader.cancel(signal.reason).catch(() => {/* It has ended by itself. */});
  signal.addEventListener("abort", stop);
  try {
    let text = "";
    let cut = false;
    for (;;) {
      const { done, value = "" } = await reader.read();
      cut ||= text.length + value.length > LONGEST;
      text = (text + value).slice(-LONGEST);
      if (done) break;
    }
    signal.throwIfAborted();
    // What is left of a line says something else than the line did.
    return cut ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    signal.removeEventListener("abort", stop);
    reader.releaseLock();
  }
}

/** What to say when nothing is like the text: a mistyped name is a mistake, an unknown message is none. */
function unknown(text: string): Error {
  const quoted = text.length > QUOTED ? `${text.slice(0, QUOTED)}...` : text;
  if (/^f\d+$/i.test(text)) {
    const last = scenarios.at(-1)?.number;
    return mistake(`no scenario has the number "${quoted}"`, `They go from F01 to ${last}`);
  }
  const words = knownWords();
  const meant = nearest(text, words.map((word) => word.toLowerCase()));
  const word = words.find((known) => known.toLowerCase() === meant);
  const didYouMean = `Did you mean "${word}"?`;
  if (SCENARIO_IDS.some((id) => id === word)) return mistake(`unknown scenario "${quoted}"`, didYouMean);
  return new HoldfastError(`Cannot explain it: nothing is known about "${quoted}"`, {
    code: "unknown",
    operation: "explain",
    hint: word === undefined ? hintOn(text) : didYouMean,
  });
}

/** What is no scenario may still be known for what it is: a request that failed and does not say why, for instance. */
function hintOn(text: string): string {
  const { kind, hint } = classifyText(text);
  return kind === "unknown" ? 'Run "holdfast explain --all" to see what is known' : hint;
}

function mistake(why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast explain": ${why}`, hint);
}
