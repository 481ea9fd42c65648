/** What is wrong with an option that is an object or a function: the wrong one would fail late, or in silence. */

import { checkFunction, shown } from "./_check.ts";

/**
 * Makes sure that options are functions, where they are given.
 *
 * @param operation What cannot be done without.
 * @param options The options by their names.
 * @throws {TypeError} When one is none.
 */
export function checkFunctions(operation: string, options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checkFunction(operation, name, value);
  }
}

/** Makes sure that the option `network` is one, where it is given; what is forgotten most is to wait for it. */
export function checkNetwork(operation: string, value: unknown): void {
  if (value === undefined) return;
  checkMethods(
    operation,
    "network",
    value,
    ["subscribe", "online"],
    "a network, as `await watchNetwork()` is",
  );
}

/** Makes sure that the option `budget` is one, where it is given. */
export function checkBudget(operation: string, value: unknown): void {
  if (value === undefined) return;
  checkMethods(operation, "budget", value, ["deposit", "withdraw"], "a budget, as `budget()` is");
}

/** Makes sure that something is a policy. */
export function checkPolicy(operation: string, name: string, value: unknown): void {
  checkMethods(operation, name, value, ["execute"], "a policy, as `retry()` is");
}

const BACKOFFS: readonly unknown[] = ["exponential", "linear", "constant", "custom"];

/** Makes sure that an option is a back-off, where it is given. */
export function checkBackoff(operation: string, name: string, value: unknown): void {
  if (value === undefined || BACKOFFS.includes((value as { readonly type?: unknown } | null)?.type)) return;
  throw new TypeError(
    `Cannot ${operation}: ${name} must be a back-off, as \`exponential()\` is, got ${kindOf(value)}`,
  );
}

function checkMethods(
  operation: string,
  name: string,
  value: unknown,
  methods: readonly string[],
  expected: string,
): void {
  const own = value as Readonly<Record<string, unknown>> | null | undefined;
  if (methods.every((method) => typeof own?.[method] === "function")) return;
  throw new TypeError(`Cannot ${operation}: ${name} must be ${expected}, got ${kindOf(value)}`);
}

/** A value as a message shows it; of a function its name is enough. */
function kindOf(value: unknown): string {
  return typeof value === "function" ? `the function ${value.name}` : shown(value);
}
