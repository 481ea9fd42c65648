/** An example, run as a reader would run it: with just the flags that it names. */

import { fileSystemPath, ROOT } from "../dev/_files.ts";

/** How long anything may take to show, in milliseconds. */
const PATIENCE = 20_000;

/** An example that runs; disposing it ends it, however it stands. */
export interface RunningExample extends AsyncDisposable {
  /** Its process. */
  readonly pid: number;
  /** Resolves with what matches, as soon as that has been written. */
  said(wanted: RegExp | string): Promise<readonly string[]>;
  /** Sends it a signal. */
  kill(signal: Deno.Signal): void;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
}

/**
 * Starts an example.
 *
 * @param flags The permissions.
 * @param name Its file name.
 * @param args Its arguments.
 */
export function startExample(
  flags: readonly string[],
  name: string,
  ...args: readonly string[]
): RunningExample {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, `examples/${name}`, ...args],
    cwd: fileSystemPath(ROOT),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const read = async (): Promise<boolean> => {
    const { done, value } = await lines.read();
    text += value ?? "";
    return !done;
  };
  const ended = child.status.then(({ code }) => {
    clearTimeout(limit);
    return code;
  });
  return {
    pid: child.pid,
    ended,
    async said(wanted) {
      while (true) {
        const match = typeof wanted === "string" ? text.includes(wanted) && [wanted] : wanted.exec(text);
        if (match) return match;
        if (!await read()) throw new Error(`The example never wrote ${wanted} but:\n${text}`);
      }
    },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      // Without effect where it has ended, as it should have.
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      while (await read());
      await ended;
    },
  };
}
