/** The packages of this repository, as the registry would have them: this one and the linked ones. */

import { filesBelow } from "./_files.ts";

/** What a `deno.json` says that matters here. */
export interface Config {
  /** The package's name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Its entry points; one path is short for `.`. */
  readonly exports: string | Readonly<Record<string, string>>;
  /** Bare names and what they stand for. */
  readonly imports?: Readonly<Record<string, string>>;
  /** Folders of packages that stand in for those of the registry. */
  readonly links?: readonly string[];
  /** How TypeScript is to be read. */
  readonly compilerOptions?: Readonly<Record<string, unknown>>;
  /** What is left out of the package. */
  readonly publish?: { readonly exclude?: readonly string[] };
}

/** One version of one package, ready to be served. */
export interface Package {
  /** Its name, as `@scope/name`. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Its entry points by name. */
  readonly exports: Readonly<Record<string, string>>;
  /** Its files by path, without a leading `/`. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** What a linked package of the real library holds beside its code. */
const NEVER: readonly string[] = [
  "**/*_test.ts",
  "**/_test_utils.ts",
  "testdata/",
  "coverage/",
  "node_modules/",
];

/** Reads a folder's `deno.json`. */
export async function readConfig(folder: string): Promise<Config> {
  return JSON.parse(await Deno.readTextFile(`${folder}/deno.json`));
}

/** Reads the package in a folder and all that are linked to it. */
export async function readPackages(root: string): Promise<readonly Package[]> {
  const config = await readConfig(root);
  const folders = [
    root,
    ...(config.links ?? []).map((link) => /^(\/|[A-Za-z]:)/.test(link) ? link : `${root}/${link}`),
  ];
  const configs = await Promise.all(folders.map(readConfig));
  const linked = Object.fromEntries(configs.map(({ name, version }) => [name, `jsr:${name}@^${version}`]));
  return await Promise.all(folders.map((folder, at) => {
    const own = configs[at] ?? config;
    return readPackage(folder, own, { ...linked, ...own.imports });
  }));
}

async function readPackage(
  folder: string,
  config: Config,
  imports: Record<string, string>,
): Promise<Package> {
  const { name, version, exports } = config;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of await publishedFiles(folder, config)) {
    const bytes = await Deno.readFile(`${folder}/${path}`);
    files.set(path, path.endsWith(".ts") ? withFullSpecifiers(bytes, imports) : bytes);
  }
  return { name, version, exports: typeof exports === "string" ? { ".": exports } : exports, files };
}

/** The paths of the files that `deno publish` would send, sorted. */
export async function publishedFiles(folder: string, config: Config): Promise<readonly string[]> {
  const exclude = [...NEVER, ...(config.publish?.exclude ?? [])];
  return (await filesBelow(folder, [""])).filter((path) =>
    !/(^|\/)\.|^deno\.lock$|\.tmp$/.test(path) && !exclude.some((pattern) => matches(path, pattern))
  );
}

/** Whether a path is meant by one of the three forms of pattern used here: `**\/*END`, `FOLDER/` and `FILE`. */
function matches(path: string, pattern: string): boolean {
  if (pattern.startsWith("**/")) return path.endsWith(pattern.slice(3).replace(/^\*/, ""));
  return pattern.endsWith("/") ? path.startsWith(pattern) : path === pattern;
}

/** Does what publishing does: a name of the import map becomes what it stands for. */
function withFullSpecifiers(
  bytes: Uint8Array<ArrayBuffer>,
  imports: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(bytes);
  const full = text.replace(
    /(\b(?:from|import)\s*\(?\s*)(["'])([^"'\n]+)\2/g,
    (whole, before, quote, name) => {
      const key = Object.keys(imports).find((key) => name === key || name.startsWith(`${key}/`));
      return key === undefined ? whole : `${before}${quote}${imports[key]}${name.slice(key.length)}${quote}`;
    },
  );
  return new TextEncoder().encode(full);
}
