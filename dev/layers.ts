/**
 * The dependency rule: `internal` <- modules <- `peer` <- `mod.ts` <- `cli`, checked over the real module graph.
 *
 * Modules never import each other at run time (types are fine), except `recover`, which `pipes` and `signal` may use.
 * Nothing imports `cli`, and `testing` may import all.
 *
 * @module
 */

import { filesBelow, fileSystemPath } from "./_files.ts";

/** One import that is there at run time. */
export interface Edge {
  /** Path of the file that imports, relative to the repository. */
  readonly from: string;
  /** Path of the file imported. */
  readonly to: string;
}

const MODULES: readonly string[] = ["watch", "firewall", "recover", "signal", "pipes"];

/** What each layer may import besides itself. A layer that is not named here is not part of the rule. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  internal: [],
  watch: ["internal"],
  firewall: ["internal"],
  recover: ["internal"],
  signal: ["internal", "recover"],
  pipes: ["internal", "recover"],
  peer: ["internal", ...MODULES],
  "mod.ts": ["internal", ...MODULES, "peer"],
  testing: ["internal", ...MODULES, "peer", "mod.ts"],
  cli: ["internal", ...MODULES, "peer", "mod.ts", "testing"],
};

/** The layer a file belongs to: its folder, or `mod.ts` itself. */
function layerOf(path: string): string {
  return path.split("/")[0] ?? path;
}

/** Says of each import that breaks the rule what is wrong with it. */
export function violations(edges: readonly Edge[]): readonly string[] {
  return edges.filter(({ from, to }) => {
    // The stand-ins are linked in place of packages, and packages are no layer.
    if (to.startsWith("dev/std/")) return false;
    const [importer, imported] = [layerOf(from), layerOf(to)];
    return importer !== imported && !(ALLOWED[importer] ?? []).includes(imported);
  }).map(({ from, to }) => `${from} imports ${to}: ${layerOf(from)} must not use ${layerOf(to)}`);
}

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
  }[];
}

async function graphOf(root: URL, entry: string): Promise<Graph> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  if (code !== 0) throw new Error(`Cannot read the graph of ${entry}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/**
 * All imports between files of a repository that are there at run time.
 *
 * @param root The repository, with a slash at its end.
 * @param files Where to begin, relative to it.
 */
export async function runtimeEdges(root: URL, files: readonly string[]): Promise<readonly Edge[]> {
  const entry = await Deno.makeTempFile({ prefix: "holdfast-layers-", suffix: ".ts" });
  try {
    const lines = files.map((file) => `import ${JSON.stringify(new URL(file, root).href)};\n`);
    await Deno.writeTextFile(entry, lines.join(""));
    const edges: Edge[] = [];
    for (const { specifier, dependencies = [] } of (await graphOf(root, entry)).modules) {
      for (const { code } of dependencies) {
        if (!specifier.startsWith(root.href) || !code?.specifier?.startsWith(root.href)) continue;
        edges.push({ from: specifier.slice(root.href.length), to: code.specifier.slice(root.href.length) });
      }
    }
    return edges;
  } finally {
    await Deno.remove(entry);
  }
}

/** The packages from npm that an entry point would fetch. */
export async function npmPackages(root: URL, entry: string): Promise<readonly string[]> {
  const { modules } = await graphOf(root, entry);
  return modules.map((module) => module.specifier).filter((specifier) => specifier.startsWith("npm:"));
}

/** The files of all layers, tests apart. */
export async function layeredFiles(root: URL): Promise<readonly string[]> {
  const files = await filesBelow(fileSystemPath(root), [".ts"]);
  return files.filter((file) => layerOf(file) in ALLOWED && !file.endsWith("_test.ts"));
}
