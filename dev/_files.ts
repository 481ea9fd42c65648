/** Which files the repository has, and what kind of test each is. */

/** How a test file is run: beside its source, alone, in fresh namespaces, or as the examples of documentation. */
export type Kind = "unit" | "integration" | "netns" | "doc";

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([".git", "node_modules", "coverage"]);

/** The path that a file URL stands for, without a slash at its end. */
export function fileSystemPath(url: URL): string {
  const path = decodeURIComponent(url.pathname).replace(/\/$/, "");
  return Deno.build.os === "windows" ? path.slice(1) : path;
}

/** The repository that these tools belong to, with a slash at its end. */
export const ROOT: URL = new URL("..", import.meta.url);

/** All files below a folder that end in one of some ways, as paths relative to it with `/`, sorted. */
export async function filesBelow(root: string, endings: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(folder === "" ? root : `${root}/${folder}`)) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory && !SKIPPED_FOLDERS.has(entry.name)) await walk(path);
      else if (entry.isFile && endings.some((ending) => path.endsWith(ending))) found.push(path);
    }
  };
  await walk("");
  return found.sort();
}

/** What kind of test file a path is. */
export function kindOf(path: string): Kind {
  if (path.startsWith("tests/netns/")) return "netns";
  if (!path.endsWith("_test.ts")) return "doc";
  return path.startsWith("tests/") ? "integration" : "unit";
}

/** The system a test file is for, where its name says so: `..._windows_test.ts`. */
export function systemOf(path: string): string | undefined {
  return /_(linux|darwin|windows)_test\.ts$/.exec(path)?.[1];
}

/** The test files of a repository. */
export async function testFiles(root: string): Promise<readonly string[]> {
  return (await filesBelow(root, ["_test.ts"])).filter((path) => !path.startsWith("examples/"));
}

/** The files whose documentation holds code: what is published, the README and `docs/`. */
export async function docFiles(root: string): Promise<readonly string[]> {
  const code = (await filesBelow(root, [".ts"])).filter((path) =>
    !path.endsWith("_test.ts") && !/^(dev|tests|bench|examples)\//.test(path)
  );
  const pages = (await filesBelow(root, [".md"])).filter((path) => /^(README\.md|docs\/.*)$/.test(path));
  const paths: string[] = [];
  for (const path of [...code, ...pages]) {
    if (/^\s*(\* )?```(ts|typescript)\b/m.test(await Deno.readTextFile(`${root}/${path}`))) paths.push(path);
  }
  return paths;
}
