/** Permissions: try first, then say exactly which flag was missing. */

import { isNotCapable, PermissionError } from "./errors.ts";

/** What an operation needs from the runtime, as data. A library is named and resolved per machine. */
export type Need =
  | { readonly name: "ffi"; readonly path: string }
  | { readonly name: "run"; readonly command: string }
  | { readonly name: "sys"; readonly kind: "networkInterfaces" | "osRelease" | "hostname" }
  | { readonly name: "read"; readonly path: string }
  | { readonly name: "net"; readonly host?: string }
  | { readonly name: "env"; readonly variable: string };

/** What one backend of a module needs and gives. */
export interface BackendPermissions {
  /** The backend's name, as in the module's `backend` option. */
  readonly backend: string;
  /** The systems it exists on, as in `Deno.build.os`. */
  readonly os: readonly (typeof Deno.build.os)[];
  /** What it cannot work without. */
  readonly needs: readonly Need[];
  /** What makes it see more, or cheaper. */
  readonly wants: readonly Need[];
  /** One line for people. */
  readonly summary: string;
}

/** What a module needs, per backend, best first. */
export interface ModulePermissions {
  /** The module's name. */
  readonly module: string;
  /** Its backends, best first. */
  readonly backends: readonly BackendPermissions[];
}

/** The value that stands behind the flag of a need, if the flag takes one. */
function valueOf(need: Need): string | undefined {
  switch (need.name) {
    case "ffi":
    case "read":
      return need.path;
    case "run":
      return need.command;
    case "sys":
      return need.kind;
    case "net":
      return need.host;
    case "env":
      return need.variable;
  }
}

/** The flags of the runtime that grant some needs, one per kind, values joined by commas. */
export function flagsOf(needs: readonly Need[]): string[] {
  const flags = new Map<string, Set<string> | "all">();
  for (const need of needs) {
    const value = valueOf(need);
    const values = flags.get(need.name) ?? new Set<string>();
    if (value === undefined) flags.set(need.name, "all");
    else if (values !== "all") flags.set(need.name, values.add(value));
  }
  return [...flags].map(([name, values]) =>
    values === "all" ? `--allow-${name}` : `--allow-${name}=${[...values].join(",")}`
  );
}

/** What the runtime answers, without asking anybody. Under a permission broker this may be `prompt` for what is then allowed. */
export function permissionState(need: Need): Deno.PermissionState {
  return Deno.permissions.querySync(need as Deno.PermissionDescriptor).state;
}

/** Whether an operation would make the runtime ask a person. */
export function wouldPrompt(needs: readonly Need[]): boolean {
  return Deno.stdin.isTerminal() && needs.some((need) => permissionState(need) === "prompt");
}

/**
 * Does something, and says which flag was missing if the runtime refuses it.
 *
 * @param operation What is being done, for the message.
 * @param needs What it needs.
 * @param action What to do.
 * @returns What the action returns.
 * @throws {PermissionError} When a permission is missing.
 */
export function withPermission<T>(operation: string, needs: readonly Need[], action: () => T): T {
  const map = (error: unknown): never => {
    if (isNotCapable(error)) throw new PermissionError(operation, flagsOf(missing(needs)), error);
    throw error;
  };
  try {
    const result = action();
    return result instanceof Promise ? result.catch(map) as T : result;
  } catch (error) {
    return map(error);
  }
}

/** The needs that are not granted; all of them where the runtime does not tell. */
function missing(needs: readonly Need[]): readonly Need[] {
  const ungranted = needs.filter((need) => permissionState(need) !== "granted");
  return ungranted.length > 0 ? ungranted : needs;
}
