/** The modules that `doctor` and `permissions` tell about. */

import type { ModulePermissions } from "../internal/permissions.ts";
import type { BackendStatus } from "../watch/mod.ts";

/** What a module tells about itself. */
export interface ModuleReport {
  /** What its backends need. */
  readonly permissions: ModulePermissions;
  /** Tries each backend of this system. */
  probe(): Promise<readonly BackendStatus[]>;
}

/**
 * Loads a module's own report.
 *
 * @param name The module's name, one of `MODULES` in the command table.
 * @returns Its permissions as data, and how to probe it.
 */
export async function loadModule(name: string): Promise<ModuleReport> {
  switch (name) {
    case "watch": {
      const { permissions, probeBackends } = await import("../watch/mod.ts");
      return { permissions, probe: probeBackends };
    }
    default:
      throw new RangeError(`Cannot load the module "${name}": unknown`);
  }
}
