/**
 * The Windows build of Deno under Wine, set up once in a folder outside of the repository and started from there.
 *
 * Two differences to real Windows are papered over, in a copy of the program that is never given away: Wine 8 has no
 * `bcryptprimitives.dll` (one function, ProcessPrng), and V8 takes a working fall-back when it does not find
 * VirtualAlloc2, whose Wine version is incomplete.
 *
 * Debian packages: wine, wine64, gcc-mingw-w64-x86-64-win32; and npm, which fetches the program.
 */

/** The newest Windows build that the npm registry has; the code under test is the same on all of 2.9. */
const VERSION = "2.9.5";

/** The tools that a test under Wine needs. */
export const WINE_TOOLS = ["wine", "x86_64-w64-mingw32-gcc", "npm"] as const;

const HERE = new URL(".", import.meta.url);

/** How long a program under Wine may take, in milliseconds. */
const BOUND = 60_000;

/** What a program left behind. */
export interface WineResult {
  /** Its exit code. */
  readonly code: number;
  /** Standard output, with the line ends of Unix. */
  readonly stdout: string;
  /** Standard error, likewise. */
  readonly stderr: string;
  /** How long it took, in milliseconds. */
  readonly took: number;
}

/** A Wine with a Windows Deno in it. */
export interface Wine {
  /** The folder with the program. */
  readonly folder: string;
  /** The variables that Wine runs with. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a Windows program. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<WineResult>;
  /** Runs a script of `tests/windows/` by the Windows Deno; flags of the runtime stand before arguments. */
  script(
    name: string,
    options?: { flags?: readonly string[]; args?: readonly string[] },
  ): Promise<WineResult>;
  /** Compiles a C program of `tests/windows/`, and says where it lies. */
  compile(name: string): Promise<string>;
}

/** The folder where it is all kept between runs: `HOLDFAST_WINE`, or in the cache of the user. */
function cacheFolder(): string {
  const own = Deno.env.get("HOLDFAST_WINE");
  if (own !== undefined) return own;
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${cache}/holdfast-wine-${VERSION}`;
}

/** Sets up what is not there yet. */
export async function openWine(): Promise<Wine> {
  const folder = cacheFolder();
  const wine = wineIn(folder);
  if (!exists(`${folder}/prefix/ready`)) await setUp(wine);
  return wine;
}

let opened: Promise<Wine> | undefined;

/** The Wine of all tests of a file; set up by the first that needs it. */
export function wine(): Promise<Wine> {
  return opened ??= openWine();
}

/** Runs a script that prints one line of JSON and nothing else, and tells what that says. */
export async function told<T>(name: string, options?: Parameters<Wine["script"]>[1]): Promise<T> {
  const { code, stdout, stderr } = await (await wine()).script(name, options);
  if (code === 0 && stderr === "") return JSON.parse(stdout);
  throw new Error(`${name}: exit code ${code}\n${stdout}${stderr}`);
}

/**
 * Gives a Wine with another prefix, whose server is a process of its own and so sees the network of whoever starts it.
 *
 * @param prefix An empty folder.
 */
export async function withPrefix(wine: Wine, prefix: string): Promise<Wine> {
  const other = wineIn(wine.folder, prefix);
  await boot(other);
  return other;
}

function wineIn(folder: string, prefix: string = `${folder}/prefix`): Wine {
  const env = {
    WINEPREFIX: prefix,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
  };
  const wine: Wine = {
    folder,
    env,
    run: (program, args, more = {}) => command("wine", [program, ...args], { ...env, ...more }),
    script: (name, { flags = ["-A"], args = [] } = {}) =>
      wine.run(`${folder}/deno.exe`, [...denoArgs(flags), windowsUrl(new URL(name, HERE)), ...args]),
    async compile(name) {
      const out = `${folder}/${name.replace(/\.c$/, ".exe")}`;
      const source = decodeURIComponent(new URL(name, HERE).pathname);
      await must("x86_64-w64-mingw32-gcc", ["-Wall", "-Werror", "-o", out, source], {});
      return out;
    },
  };
  return wine;
}

/** The arguments of the runtime before the script: nothing of the repository's own set-up, whose links need a registry. */
export function denoArgs(flags: readonly string[]): readonly string[] {
  return ["run", "--quiet", "--no-config", "--no-lock", "--no-prompt", ...flags];
}

/** Where Wine sees a file: its drive Z is the root. */
export function windowsUrl(url: URL): string {
  return `file:///Z:${url.pathname}`;
}

async function setUp(wine: Wine): Promise<void> {
  const { folder } = wine;
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder, prefix: "setup-" });
  try {
    const packed = await must("npm", ["pack", "--silent", `@deno/win32-x64@${VERSION}`], {}, work);
    await must("tar", ["xzf", packed.stdout.trim()], {}, work);
    hide(
      await Deno.readFile(`${work}/package/deno.exe`),
      "VirtualAlloc2\0",
      "VirtualAllocX\0",
      `${work}/deno.exe`,
    );
    const dll = ["-shared", "-Wall", "-Werror", "-o", `${work}/bcryptprimitives.dll`];
    const source = decodeURIComponent(new URL("prng.c", HERE).pathname);
    await must("x86_64-w64-mingw32-gcc", [...dll, source, "-ladvapi32"], {});
    for (const file of ["deno.exe", "bcryptprimitives.dll"]) {
      await Deno.rename(`${work}/${file}`, `${folder}/${file}`);
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  await boot(wine);
}

/** Replaces a text in a program by one as long. */
function hide(program: Uint8Array, text: string, by: string, path: string): void {
  const [from, to] = [text, by].map((one) => new TextEncoder().encode(one));
  if (!from || !to) return;
  const first = from[0] ?? 0;
  let found = 0;
  for (let at = program.indexOf(first); at >= 0; at = program.indexOf(first, at + 1)) {
    if (!from.every((byte, i) => program[at + i] === byte)) continue;
    program.set(to, at);
    found++;
  }
  if (found === 0) throw new Error(`Cannot set up Wine: deno.exe does not import ${text}`);
  Deno.writeFileSync(path, program);
}

/** Makes the prefix, as Windows 10: the Windows 7 that Wine plays otherwise is too old for Deno. */
async function boot(wine: Wine): Promise<void> {
  await must("wine", ["wineboot", "-i"], wine.env);
  await must("wine", ["winecfg", "-v", "win10"], wine.env);
  await must("wine", [`${wine.folder}/deno.exe`, "--version"], wine.env);
  Deno.writeTextFileSync(`${wine.env["WINEPREFIX"]}/ready`, "");
}

async function must(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<WineResult> {
  const result = await command(program, args, env, cwd);
  if (result.code === 0) return result;
  throw new Error(`${program} ${args.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
}

async function command(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<WineResult> {
  const start = performance.now();
  const signal = AbortSignal.timeout(BOUND);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "null",
    signal,
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  if (signal.aborted) {
    throw new Error(`${program} ${args.join(" ")}: did not end in ${BOUND} ms\n${text(stderr)}`);
  }
  return { code, stdout: text(stdout), stderr: text(stderr), took: performance.now() - start };
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  const { folder } = await openWine();
  console.log(`ready: ${folder}`);
}
