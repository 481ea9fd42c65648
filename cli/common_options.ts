/** Options that several commands have. */

import type { OptionSpec } from "./spec.ts";

/** Lines for programs. */
export const JSON_OPTION: OptionSpec = {
  name: "json",
  type: "boolean",
  summary: "Write one JSON object per line (see docs/JSON.md)",
};

/** Only one family of addresses. */
export const FAMILY_OPTION: OptionSpec = {
  name: "family",
  type: "choice",
  value: "4|6",
  choices: ["4", "6"],
  summary: "Only this address family",
};
