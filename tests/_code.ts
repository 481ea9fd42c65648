/** Code in a Deno process of its own, for what is seen from outside only: exit codes, signals, permissions. */

/** How a piece of code is run. */
export interface CodeOptions {
  /**
   * Permission flags of the process.
   *
   * @default {["-A"]}
   */
  readonly flags?: readonly string[];
  /** Variables added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * After how many milliseconds it is killed, so that code that should end and does not fails its test.
   *
   * @default {30_000}
   */
  readonly bound?: number;
}

/** What a piece of code left behind. */
export interface CodeResult {
  /** Exit code; 128 + signal where a signal ended it. */
  readonly code: number;
  /** Standard output. */
  readonly stdout: string;
  /** Standard error. */
  readonly stderr: string;
}

/** A piece of code that runs. */
export interface RunningCode extends AsyncDisposable {
  /** Its process. */
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly result: Promise<CodeResult>;
  /** Resolves with what matches, when it stands in its standard output; rejects when it ends without. */
  said(wanted: string | RegExp): Promise<readonly string[]>;
  /** Sends it a signal. */
  kill(signal: Deno.Signal): void;
}

const ROOT = new URL("..", import.meta.url);

/**
 * Starts a piece of TypeScript. `"#/` at the beginning of an import stands for the repository.
 *
 * @param code The code, a module.
 * @param options Flags, environment, limit of time.
 */
export function startCode(code: string, options: CodeOptions = {}): RunningCode {
  const { flags = ["-A"], env = {}, bound = 30_000 } = options;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", ...flags, "-"],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), bound);
  const output = { stdout: "", stderr: "" };
  let changed = Promise.withResolvers<void>();
  const collect = async (stream: "stdout" | "stderr"): Promise<void> => {
    for await (const text of child[stream].pipeThrough(new TextDecoderStream())) {
      output[stream] += text;
      changed.resolve();
      changed = Promise.withResolvers();
    }
  };
  let over = false;
  const result = (async (): Promise<CodeResult> => {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(code.replaceAll('"#/', `"${ROOT.href}`)));
    await writer.close();
    const [status] = await Promise.all([child.status, collect("stdout"), collect("stderr")]);
    clearTimeout(limit);
    over = true;
    changed.resolve();
    return { code: status.code, ...output };
  })();
  return {
    pid: child.pid,
    result,
    async said(wanted) {
      while (true) {
        const { stdout, stderr } = output;
        const match = typeof wanted === "string" ? stdout.includes(wanted) && [wanted] : wanted.exec(stdout);
        if (match) return match;
        if (over) throw new Error(`The code never said "${wanted}" but:\n${stdout}${stderr}`);
        await changed.promise;
      }
    },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      try {
        if (!over) child.kill("SIGKILL");
      } catch (error) {
        // It has ended, and what it said last is still on its way.
        if (!(error instanceof TypeError)) throw error;
      }
      await result;
    },
  };
}

/** Runs a piece of TypeScript to its end, as {@linkcode startCode} starts it. */
export function runCode(code: string, options: CodeOptions = {}): Promise<CodeResult> {
  return startCode(code, options).result;
}
