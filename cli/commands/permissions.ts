/** `holdfast permissions MODULE...`. */

import { libcNeed } from "../../internal/ffi/libc.ts";
import { flagsOf, type Need } from "../../internal/permissions.ts";
import { backendHere } from "../backend_option.ts";
import { EXIT } from "../failure.ts";
import { loadModule } from "../modules.ts";
import type { Context, Line } from "../spec.ts";

/** What one module needs here; the line of `--json`. */
interface PermissionsLine extends Line {
  readonly type: "permissions";
  /** The module. */
  readonly module: string;
  /** The backend that these are for. */
  readonly backend: string;
  /** What it cannot work without. */
  readonly flags: readonly string[];
  /** What makes it see more. */
  readonly extra: readonly string[];
}

/** Prints the flags, or a permission set for `deno.json`. */
export async function run({ args, values, json, emit, print, note }: Context): Promise<number> {
  const wanted = values.text("backend") ?? "auto";
  const needs: Need[] = [];
  for (const name of new Set(args)) {
    const backend = backendHere((await loadModule(name)).permissions, wanted);
    const must = backend.needs.map(resolve);
    const extra = backend.wants.map(resolve);
    needs.push(...must, ...(values.flag("full") ? extra : []));
    const line: PermissionsLine = {
      type: "permissions",
      module: name,
      backend: backend.backend,
      flags: flagsOf(must),
      extra: flagsOf(extra),
    };
    if (json) await emit(line);
    else {
      await note(`${name}: backend ${line.backend}, ${backend.summary}`);
      if (line.extra.length > 0 && !values.flag("full")) await note(`--full adds ${line.extra.join(" ")}`);
    }
  }
  if (!json) {
    await print(values.text("format") === "deno.json" ? permissionSet(needs) : flagsOf(needs).join(" "));
  }
  return EXIT.fine;
}

/**
 * Needs as a permission set for `deno.json`, used by `deno run -P`.
 *
 * @param needs What is needed.
 * @returns JSON text.
 */
export function permissionSet(needs: readonly Need[]): string {
  const set: Record<string, true | string[]> = {};
  for (const flag of flagsOf(needs)) {
    const [, name = "", values] = /^--allow-(\w+)(?:=(.*))?$/.exec(flag) ?? [];
    set[name] = values === undefined ? true : values.split(",");
  }
  return JSON.stringify({ permissions: { default: set } }, null, 2);
}

/** The path of a library differs from machine to machine, and a path-scoped flag needs the exact one. */
function resolve(need: Need): Need {
  return need.name === "ffi" && Deno.build.os === "linux" ? libcNeed() : need;
}
