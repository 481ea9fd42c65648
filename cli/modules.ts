/** The modules that `doctor` and `permissions` tell about. */

import { flagsOf, type ModulePermissions, permissionState } from "../internal/permissions.ts";

/** What is known of one backend of a module. */
export interface BackendState {
  /** The backend. */
  readonly backend: string;
  /** Whether it works here and now. */
  readonly usable: boolean;
  /** Why not. */
  readonly reason?: string;
  /** The flags that it runs under. */
  readonly needs: readonly string[];
  /** Those of them that are missing. */
  readonly flags?: readonly string[];
  /** What else to do. */
  readonly hint?: string;
}

/** What a module tells about itself. */
export interface ModuleReport {
  /** What its backends need. */
  readonly permissions: ModulePermissions;
  /** Tries each backend of this system. */
  probe(): Promise<readonly BackendState[]>;
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
    case "recover": {
      const { permissions } = await import("../recover/permissions.ts");
      return { permissions, probe: () => Promise.resolve(granted(permissions)) };
    }
    case "pipes": {
      const { permissions } = await import("../pipes/permissions.ts");
      return { permissions, probe: () => Promise.resolve(granted(permissions)) };
    }
    case "pipes/push": {
      const [{ permissions }, { probePush }] = await Promise.all([
        import("../pipes/push/permissions.ts"),
        import("../pipes/push/probe_push.ts"),
      ]);
      return { permissions, probe: probePush };
    }
    default:
      throw new RangeError(`Cannot load the module "${name}": unknown`);
  }
}

/** What the permissions given allow, for parts that nothing else could stop. */
function granted({ backends }: ModulePermissions): BackendState[] {
  return backends.filter(({ os }) => os.includes(Deno.build.os)).map(({ backend, needs }) => {
    const flags = flagsOf(needs.filter((need) => permissionState(need) !== "granted"));
    const usable = flags.length === 0;
    return {
      backend,
      usable,
      needs: flagsOf(needs),
      ...(usable ? {} : { reason: "permission missing", flags }),
    };
  });
}
