/** Child processes of the development tools: output kept, time bounded, grandchildren ended too. */

/** How a program is run. */
export interface RunOptions {
  /** Its arguments. */
  readonly args: readonly string[];
  /** Working directory. */
  readonly cwd?: string;
  /** Variables added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * After how many milliseconds the program and all its children are ended.
   *
   * @default {120_000}
   */
  readonly bound?: number;
}

/** What a program left behind. */
export interface RunResult {
  /** Whether it ended by itself with exit code 0. */
  readonly ok: boolean;
  /** Its exit code. */
  readonly code: number;
  /** Standard output and standard error, interleaved as they came. */
  readonly output: string;
  /** Standard output alone. */
  readonly stdout: string;
  /** Whether it had to be ended because its time was up. */
  readonly hung: boolean;
  /** How long it ran, in milliseconds. */
  readonly took: number;
}

const running = new Set<number>();

/** Runs a program in a process group of its own, so that nothing it started outlives it. */
export async function run(program: string, options: RunOptions): Promise<RunResult> {
  const { args, cwd, env = {}, bound = 120_000 } = options;
  const start = performance.now();
  const child = new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  running.add(child.pid);
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    killGroup(child.pid);
  }, bound);
  let output = "";
  let stdout = "";
  const closing = new AbortController();
  const outputs = Promise.all([
    collect(child.stdout, closing.signal, (text) => {
      output += text;
      stdout += text;
    }),
    collect(child.stderr, closing.signal, (text) => output += text),
  ]);
  const { code, success } = await child.status;
  clearTimeout(timer);
  // Whatever the program left running would keep the pipes open: its group is ended, and a daemon is not waited for.
  killGroup(child.pid);
  running.delete(child.pid);
  const limit = setTimeout(() => closing.abort(), 1000);
  await outputs;
  clearTimeout(limit);
  return { ok: success && !hung, code, output, stdout, hung, took: performance.now() - start };
}

/** Ends all programs that still run; for the way out on SIGINT. */
export function killAll(): void {
  for (const pid of running) killGroup(pid);
}

/**
 * Has the programs ended with this process when it is interrupted.
 *
 * @param folder A temporary folder that is to go as well.
 */
export function killAllOnSignal(folder?: string): void {
  for (const signal of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killAll();
      if (folder !== undefined) Deno.removeSync(folder, { recursive: true });
      Deno.exit(signal === "SIGTERM" ? 143 : 130);
    });
  }
}

function killGroup(pid: number): void {
  try {
    // Windows has no process groups to signal; there the program alone is ended.
    Deno.kill(Deno.build.os === "windows" ? pid : -pid, "SIGKILL");
  } catch (error) {
    const gone = error instanceof Deno.errors.NotFound || error instanceof TypeError ||
      error instanceof Deno.errors.PermissionDenied;
    if (!gone) throw error;
  }
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
  add: (text: string) => void,
): Promise<void> {
  try {
    await stream.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write: add }), { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
