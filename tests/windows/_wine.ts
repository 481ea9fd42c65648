/**
 * The Windows build of Deno under Wine, set up once in a folder outside of the repository and started from there.
 *
 * Two differences to real Windows are papered over, in a copy of the program that is never given away: Wine 8 has no
 * `bcryptprimitives.dll` (one function, ProcessPrng), and V8 takes a working fall-back when it does not find
 * VirtualAlloc2, whose Wine version is incomplete.
 *
 * Debian packages: wine, wine64, gcc-mingw-w64-x86-64-win32; and npm, which fetches the program.
 */

import {
  follow,
  launch,
  type Launched,
  type LaunchOptions,
  windowsPath,
  type WineResult,
} from "./_launch.ts";

/** The newest Windows build that the npm registry has; the code under test is the same on all of 2.9. */
const VERSION = "2.9.5";

/** The tools that a test under Wine needs. */
export const WINE_TOOLS = ["wine", "wineserver", "x86_64-w64-mingw32-gcc", "npm"] as const;

const HERE = new URL(".", import.meta.url);

/** What the set-up makes, counted up when it makes something else: an older one is then done again. */
const SET_UP = "2\n";

/** How long a step of the set-up may take, in milliseconds. */
const BOUND = 600_000;

/** How a script is run. */
export interface ScriptOptions {
  /**
   * Flags of the runtime.
   *
   * @default {["-A"]}
   */
  readonly flags?: readonly string[];
  /** What the script gets. */
  readonly args?: readonly string[];
}

/** A Wine with a Windows Deno in it. */
export interface Wine {
  /** The folder with the program. */
  readonly folder: string;
  /** The variables that Wine runs with. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a Windows program: its name, or its path as Windows has it. */
  run(program: string, args: readonly string[]): Promise<WineResult>;
  /** Runs the Windows Deno. */
  deno(args: readonly string[]): Promise<WineResult>;
  /** Runs a script of `tests/windows/` by the Windows Deno. */
  script(name: string, options?: ScriptOptions): Promise<WineResult>;
  /** Starts such a script, and follows what it prints. */
  follow(name: string, options?: ScriptOptions): Promise<Launched>;
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
  if (textOf(`${folder}/prefix/ready`) !== SET_UP) await setUp(wine);
  // The first program after a while starts the server, and after an update of Wine says on standard error what that did.
  await wine.deno(["--version"]);
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
 * Gives a Wine with a prefix of its own, whose server is a process of its own and so sees the network of whoever starts it.
 *
 * @param wine What it is a copy of.
 * @param wrap Where its programs run.
 * @returns The Wine, which ends and takes its prefix away in the end.
 */
export async function ownWine(wine: Wine, wrap?: LaunchOptions["wrap"]): Promise<Wine & AsyncDisposable> {
  const own = await Deno.makeTempDir({ dir: wine.folder, prefix: "own-" });
  // Links are enough, but for the registry: the server writes into its files.
  await unix("cp", ["-al", `${wine.folder}/prefix/drive_c`, own]);
  const others = Array.from(Deno.readDirSync(`${wine.folder}/prefix`), ({ name }) => name)
    .filter((name) => name !== "drive_c")
    .map((name) => `${wine.folder}/prefix/${name}`);
  await unix("cp", ["-a", ...others, own]);
  const other = wineIn(wine.folder, { prefix: own, wrap });
  return {
    ...other,
    async [Symbol.asyncDispose]() {
      // It ends by itself some seconds after the last program, which leaves nothing that writes into the prefix.
      await unix("wineserver", ["-w"], other.env);
      await Deno.remove(own, { recursive: true });
    },
  };
}

/** Where a Wine runs its programs. */
export interface WineOptions {
  /** The folder that Windows is in; else the one of all. */
  readonly prefix?: string;
  /** Makes the command that runs a command in another way. */
  readonly wrap?: LaunchOptions["wrap"] | undefined;
}

/** The Wine that is set up in a folder. */
export function wineIn(folder: string, options: WineOptions = {}): Wine {
  const { prefix = `${folder}/prefix`, wrap } = options;
  const env = {
    WINEPREFIX: prefix,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    NO_COLOR: "1",
    DENO_NO_UPDATE_CHECK: "1",
    // It would leave a copy of the runtime in the prefix, again and again, as a stand-in for Node.
    DENO_DISABLE_NODE_SHIM: "1",
  };
  const launching: LaunchOptions = { env, launcher: `${folder}/launch.exe`, wrap };
  const program = windowsPath(`${folder}/deno.exe`);
  const argsOf = (name: string, { flags = ["-A"], args = [] }: ScriptOptions = {}): readonly string[] => [
    ...["run", "--quiet", ...ALONE, ...flags],
    ...[windowsUrl(new URL(name, HERE)), ...args],
  ];
  return {
    folder,
    env,
    run: (name, args) => launch(name, args, launching),
    deno: (args) => launch(program, args, launching),
    script: (name, more) => launch(program, argsOf(name, more), launching),
    follow: (name, more) => follow(program, argsOf(name, more), launching),
    async compile(name) {
      const out = `${folder}/${name.replace(/\.c$/, ".exe")}`;
      await compileC(name, out);
      return windowsPath(out);
    },
  };
}

/** Nothing of the repository's own set-up, whose links need a registry. */
export const ALONE = ["--no-config", "--no-lock", "--no-prompt"] as const;

/** Where the Windows Deno finds a file. */
export function windowsUrl(url: URL): string {
  return `file:///Z:${url.pathname}`;
}

async function setUp(wine: Wine): Promise<void> {
  const { folder } = wine;
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir({ dir: folder, prefix: "setup-" });
  try {
    const made = ["launch.exe", "bcryptprimitives.dll"];
    await compileC("launch.c", `${work}/launch.exe`, "-municode");
    await compileC("prng.c", `${work}/bcryptprimitives.dll`, "-shared", "-ladvapi32");
    if (!exists(`${folder}/deno.exe`)) {
      made.push("deno.exe");
      const packed = await unix("npm", ["pack", "--silent", `@deno/win32-x64@${VERSION}`], {}, work);
      await unix("tar", ["xzf", packed.trim()], {}, work);
      const program = await Deno.readFile(`${work}/package/deno.exe`);
      hide(program, "VirtualAlloc2\0", "VirtualAllocX\0", `${work}/deno.exe`);
    }
    for (const file of made) await Deno.rename(`${work}/${file}`, `${folder}/${file}`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  await boot(wine);
}

async function compileC(name: string, out: string, ...flags: readonly string[]): Promise<void> {
  const source = decodeURIComponent(new URL(name, HERE).pathname);
  await unix("x86_64-w64-mingw32-gcc", ["-Wall", "-Werror", "-o", out, source, ...flags]);
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
async function boot({ env, folder }: Wine): Promise<void> {
  const options: LaunchOptions = { env, launcher: `${folder}/launch.exe`, bound: BOUND };
  const program = windowsPath(`${folder}/deno.exe`);
  // The first program of a prefix makes it.
  for (const [name, ...args] of [["winecfg", "-v", "win10"], [program, "--version"]] as const) {
    const result = await launch(name, args, options);
    if (result.code === 0) continue;
    throw new Error(`Cannot set up Wine: ${name} ended with ${JSON.stringify(result)}`);
  }
  const prefix = env["WINEPREFIX"];
  // Left by a set-up that did not switch it off.
  await unix("rm", ["-rf", ...glob(`${prefix}/drive_c/users`, "AppData/Local/deno/node_compat_bin")]);
  // The registry is written when the server ends.
  await unix("wineserver", ["-w"], env);
  Deno.writeTextFileSync(`${prefix}/ready`, SET_UP);
}

/** The folders of that name, one for each user of the prefix. */
function glob(users: string, name: string): readonly string[] {
  return Array.from(Deno.readDirSync(users), (user) => `${users}/${user.name}/${name}`);
}

/** Runs a program of Unix, whose failure is ours. */
async function unix(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<string> {
  const signal = AbortSignal.timeout(BOUND);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdin: "null",
    signal,
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  if (code === 0) return text(stdout);
  const why = signal.aborted ? `did not end in ${BOUND} ms` : `exit code ${code}`;
  throw new Error(`${program} ${args.join(" ")}: ${why}\n${text(stdout)}${text(stderr)}`);
}

/** What stands in a file, or nothing where there is none. */
function textOf(path: string): string {
  return exists(path) ? Deno.readTextFileSync(path) : "";
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
