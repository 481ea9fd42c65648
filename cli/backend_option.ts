/** The option `--backend`: a backend of the module, on this system. */

import type { BackendPermissions, ModulePermissions } from "../internal/permissions.ts";
import { permissions } from "../watch/mod.ts";
import type { BackendName } from "../watch/events.ts";
import { UsageError } from "./usage_error.ts";
import type { Values } from "./values.ts";

/** The backends of a module that exist on this system, best first. */
export function backendsHere({ backends }: ModulePermissions): readonly BackendPermissions[] {
  return backends.filter(({ os }) => os.includes(Deno.build.os));
}

/**
 * A module's backend of some name.
 *
 * @param module The module's permissions.
 * @param name The name; `"auto"` for the best one.
 * @returns What is known about it.
 * @throws {UsageError} When this system has none of that name.
 */
export function backendHere(module: ModulePermissions, name: string): BackendPermissions {
  const here = backendsHere(module);
  const found = name === "auto" ? here[0] : here.find(({ backend }) => backend === name);
  if (found) return found;
  throw new UsageError(
    `Cannot use the backend "${name}": ${module.module} does not have it on ${Deno.build.os}`,
    `It can be one of: ${["auto", ...here.map(({ backend }) => backend)].join(", ")}`,
  );
}

/**
 * The option `--backend` of the commands that read the network.
 *
 * @param values The options.
 * @returns A backend that this system has, or `"auto"`.
 * @throws {UsageError} When this system has none of that name.
 */
export function watchBackend(values: Values): BackendName | "auto" {
  const name = values.text("backend") ?? "auto";
  if (name !== "auto") backendHere(permissions, name);
  return name as BackendName | "auto";
}
