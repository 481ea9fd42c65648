/** Sabotages of the command line, `testing/` and the gate itself. */

import type { Sabotage } from "./sabotages.ts";

const CLI_FAILURE = { file: "cli/failure.ts", test: ["cli/failure_test.ts"] };
const CLI_PARSE = { file: "cli/parse.ts", test: ["cli/parse_test.ts", "tests/cli_mistakes_test.ts"] };
const GATE = { file: "dev/layers.ts", test: ["tests/gate_test.ts"], filter: "the layer check" };

/** All of them. */
export const OTHERS: readonly Sabotage[] = [
  {
    ...CLI_FAILURE,
    name: "command line: a missing permission ends like any failure",
    find: "tell(error.code, EXIT.permission, error.hint, error.flags)",
    replace: "tell(error.code, EXIT.failed, error.hint, error.flags)",
  },
  {
    name: "command line: foreign text may steer the terminal",
    file: "cli/style.ts",
    find: "\\x7f-\\x9f",
    replace: "\\x7f",
    test: ["cli/style_test.ts"],
  },
  {
    ...CLI_PARSE,
    name: "command line: unknown options are passed over",
    find: "if (unknown[0] !== undefined) throw unknownOption(command, options, unknown[0]);",
    replace: "if (unknown[0] === null) throw unknownOption(command, options, unknown[0]);",
  },
  {
    ...CLI_PARSE,
    name: "command line: an option given twice is passed over",
    find: 'if (typed.length > 1 && option.type !== "list") {',
    replace: 'if (typed.length > 9 && option.type !== "list") {',
  },
  {
    name: "command line: a time in JSON is a number",
    file: "cli/json_line.ts",
    find: 'key === "at" && typeof value === "number"',
    replace: 'key === "when" && typeof value === "number"',
    test: ["cli/failure_test.ts"],
  },
  {
    name: "fake clock: timers fire in the order they were set, not when they are due",
    file: "testing/fake_clock.ts",
    find: "(next === undefined || entry.due < next.due)",
    replace: "next === undefined",
    test: ["testing/fake_clock_test.ts"],
  },
  {
    ...GATE,
    name: "layers: lazy imports are passed over",
    find: "if (!specifier.startsWith(root.href) ||",
    replace: 'if (specifier.endsWith("lazy.ts") || !specifier.startsWith(root.href) ||',
  },
];
