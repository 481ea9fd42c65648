/**
 * Windows programs under Wine, run by a launcher that reports the exit code of Windows.
 *
 * The status of the Unix process is worth nothing: the server of Wine kills with SIGKILL what is still there about a
 * second after it ended as a Windows process. Output goes to files, not to pipes: the services that Wine starts along
 * with the first program keep its pipes open until the last program has ended.
 */

/** How long a program under Wine may take, in milliseconds; less than a test file may. */
const BOUND = 100_000 * Math.max(1, Number(Deno.env.get("HOLDFAST_SCALE") ?? 1));

/** What a program left behind. */
export interface WineResult {
  /** The exit code of Windows. */
  readonly code: number;
  /** Standard output, with the line ends of Unix; empty where it was followed. */
  readonly stdout: string;
  /** Standard error, likewise. */
  readonly stderr: string;
  /** The exit status of the Unix process, which may be anything. */
  readonly unix: number;
}

/** How a program is run. */
export interface LaunchOptions {
  /** The variables that Wine runs with. */
  readonly env: Readonly<Record<string, string>>;
  /** The launcher, as Unix has it. */
  readonly launcher: string;
  /** Makes the command that runs a command in another way. */
  readonly wrap?: ((command: readonly string[]) => readonly [string, ...string[]]) | undefined;
  /**
   * How long it may take, in milliseconds.
   *
   * @default {100_000}
   */
  readonly bound?: number;
}

/** A program that runs, whose output is followed. */
export interface Launched extends AsyncDisposable {
  /** The Unix process of the launcher. */
  readonly pid: number;
  /** Gives the next line of its standard output. */
  line(): Promise<string>;
  /** Writes a line to its standard input. */
  say(line: string): Promise<void>;
  /** Closes its standard input, and waits for its end. */
  end(): Promise<WineResult>;
}

/** Runs a Windows program to its end. */
export async function launch(
  program: string,
  args: readonly string[],
  options: LaunchOptions,
): Promise<WineResult> {
  return await (await start(program, args, options, false)).result;
}

/** Starts a Windows program, whose output is read and whose input is written while it runs. */
export async function follow(
  program: string,
  args: readonly string[],
  options: LaunchOptions,
): Promise<Launched> {
  const { child, result } = await start(program, args, options, true);
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let over = false;
  // Who reads a line is told as well, so that nobody need be waiting for the end when it comes.
  result.catch(() => {});
  const end = async (): Promise<WineResult> => {
    if (!over) {
      over = true;
      // One that has ended reads no more; its exit code tells.
      await writer.close().catch(() => {});
      await Promise.allSettled([result]);
      await reader.cancel();
    }
    return await result;
  };
  return {
    pid: child.pid,
    async line() {
      while (!text.includes("\n")) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`Cannot follow ${program}: it ended with ${JSON.stringify(await end())}`);
        text += value;
      }
      const [line = "", ...rest] = text.split("\n");
      text = rest.join("\n");
      return line.trimEnd();
    },
    say: (line) => writer.write(new TextEncoder().encode(`${line}\n`)),
    end,
    [Symbol.asyncDispose]: async () => void await end(),
  };
}

/** Where Wine sees a path: its drive Z is the root. */
export function windowsPath(path: string): string {
  return `Z:${path.replaceAll("/", "\\")}`;
}

interface Started {
  readonly child: Deno.ChildProcess;
  readonly result: Promise<WineResult>;
}

async function start(
  program: string,
  args: readonly string[],
  { env, launcher, bound = BOUND, wrap = (command) => ["env", ...command] }: LaunchOptions,
  followed: boolean,
): Promise<Started> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-wine-" });
  const files = [`${folder}/out`, `${folder}/err`];
  const script = `out=$1 err=$2; shift 2; exec "$@" 2>"$err"${followed ? "" : ' >"$out"'}`;
  const command = wrap(["wine", launcher, windowsPath(`${folder}/code`), program, ...args]);
  const child = new Deno.Command("sh", {
    args: ["-c", script, "sh", ...files, ...command],
    env: { ...env },
    stdin: followed ? "piped" : "null",
    stdout: followed ? "piped" : "null",
    stderr: "inherit",
  }).spawn();
  return { child, result: resultOf(child, folder, [program, ...args].join(" "), bound) };
}

/** Waits for the end, reads what was left, and takes the folder away. */
async function resultOf(
  child: Deno.ChildProcess,
  folder: string,
  what: string,
  bound: number,
): Promise<WineResult> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The job of the launcher ends with it, and the program with the job.
    child.kill("SIGKILL");
  }, bound);
  try {
    const { code: unix } = await child.status;
    clearTimeout(timer);
    const [out = "", err = "", code = ""] = ["out", "err", "code"].map((name) => textOf(`${folder}/${name}`));
    if (/^\d+\n$/.test(code)) return { code: Number(code), stdout: out, stderr: err, unix };
    const why = late
      ? `it did not end in ${bound} ms`
      : `Wine ended with status ${unix} and reported no code`;
    throw new Error(`Cannot tell how "${what}" ended: ${why}\n${out}${err}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What stands in a file, which may be missing, with the line ends of Unix. */
function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path).replaceAll("\r\n", "\n");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
