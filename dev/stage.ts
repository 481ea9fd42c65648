/**
 * Copies of this repository that something else is to be done with.
 *
 * ```sh
 * deno run -A dev/stage.ts --dry-run       # checks what would be published, against the local registry
 * deno run -A dev/stage.ts --std=DIR OUT   # the whole repository, linked to the real standard library in DIR
 * ```
 *
 * @module
 */

import { filesBelow, fileSystemPath, ROOT } from "./_files.ts";
import { readConfig } from "./_packages.ts";
import { run } from "./_process.ts";
import { serveRegistry } from "./registry.ts";

const repository = fileSystemPath(ROOT);

/** Options of {@linkcode stageWithStd}. */
export interface StageWithStdOptions {
  /** The folder of the real standard library. */
  readonly std: string;
  /** Where the copy goes; made if it is not there. */
  readonly out: string;
}

/**
 * Copies the repository, tests included, and links the copy to the real standard library.
 *
 * `log` stays the stand-in, since the real library no longer has it. There is no lock file: that one belongs to the
 * stand-ins.
 *
 * @param options From where and to where.
 */
export async function stageWithStd({ std, out }: StageWithStdOptions): Promise<void> {
  const real = (await Deno.realPath(std)).replaceAll("\\", "/");
  const config = await readConfig(repository);
  const links = config.links ?? [];
  const names = links.map((link) => link.slice(link.lastIndexOf("/") + 1));
  const found = await withDependencies(real, names);
  const kept = links.filter((_, at) => !found.includes(names[at] ?? ""));
  const paths = (await filesBelow(repository, [""])).filter((path) => path !== "deno.lock");
  await copy(paths, out);
  // The real library is not written for isolated declarations.
  const compilerOptions = { ...config.compilerOptions, isolatedDeclarations: false };
  await writeConfig(out, {
    links: [...kept, ...found.map((name) => `${real}/${name}`)],
    compilerOptions,
    lock: false,
  });
}

/** The folders of these packages and of all they need, as far as the library has them. */
async function withDependencies(std: string, names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  const queue = [...names];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (found.includes(name) || !await exists(`${std}/${name}/deno.json`)) continue;
    found.push(name);
    for (const path of await filesBelow(`${std}/${name}`, [".ts"])) {
      const text = await Deno.readTextFile(`${std}/${name}/${path}`);
      for (const [, other = ""] of text.matchAll(/from "@std\/([a-z-]+)/g)) {
        queue.push(other.replaceAll("-", "_"));
      }
    }
  }
  return found;
}

/**
 * Copies the repository without the links and the `dev/` they lead to: publishing refuses linked packages inside the
 * folder of the package.
 *
 * @param out Where the copy goes; made if it is not there.
 */
export async function stagePackage(out: string): Promise<void> {
  const paths = await filesBelow(repository, [""]);
  await copy(paths.filter((path) => !path.startsWith("dev/") && path !== "deno.lock"), out);
  await writeConfig(out, { links: undefined, lock: false });
}

/** What a publish dry run said. */
export interface DryRun {
  /** Whether the package could be published. */
  readonly ok: boolean;
  /** All it said. */
  readonly output: string;
  /** The paths of the files that would be sent, sorted. */
  readonly files: readonly string[];
}

/**
 * Does everything that publishing does, except publishing, on a staged copy and against the local registry.
 *
 * @returns What it said; a warning is a failure.
 */
export async function publishDryRun(): Promise<DryRun> {
  await using registry = await serveRegistry({ root: repository });
  const out = await Deno.makeTempDir({ prefix: "holdfast-publish-" });
  try {
    await stagePackage(out);
    const { ok, output } = await run(Deno.execPath(), {
      args: ["publish", "--dry-run", "--allow-dirty", "--no-lock"],
      cwd: out,
      env: { JSR_URL: registry.url, DENO_DIR: `${out}.cache` },
    });
    // Each line has the address of a file and, in brackets, its size.
    const folder = out.slice(out.lastIndexOf("holdfast-publish-"));
    const files = [...output.matchAll(/^\s+file:\S*?\/(holdfast-publish-[^/]+)\/(\S+) \(/gm)]
      .flatMap(([, name, path = ""]) => name === folder ? path : []);
    return { ok: ok && !/\bwarning\b/i.test(output), output, files: files.sort() };
  } finally {
    await Deno.remove(out, { recursive: true });
    await Deno.remove(`${out}.cache`, { recursive: true }).catch((error) => {
      // A run that failed early has no cache to remove.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

async function copy(paths: readonly string[], out: string): Promise<void> {
  for (const path of paths) {
    const to = `${out}/${path}`;
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    await Deno.copyFile(`${repository}/${path}`, to);
  }
}

async function writeConfig(out: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  const config = { ...await readConfig(repository), ...changes };
  await Deno.writeTextFile(`${out}/deno.json`, `${JSON.stringify(config, undefined, 2)}\n`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  const [first = "", out] = Deno.args;
  const std = /^--std=(.+)$/.exec(first)?.[1];
  if (first === "--dry-run") {
    const { ok, output } = await publishDryRun();
    console.error(output);
    Deno.exitCode = ok ? 0 : 1;
  } else if (std !== undefined && out !== undefined) {
    await stageWithStd({ std, out });
  } else {
    console.error("Usage: deno run -A dev/stage.ts --dry-run | --std=DIR OUT");
    Deno.exitCode = 2;
  }
}
