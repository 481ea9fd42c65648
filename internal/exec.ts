/** The only door to other programs: argument arrays, fixed language, bounded output, honest abort. */

import { systemClock } from "./clock.ts";
import { HoldfastError, isNotCapable, PermissionError, ToolMissingError } from "./errors.ts";
import { flagsOf, wouldPrompt } from "./permissions.ts";

/** How to run a program. */
export interface ExecOptions {
  /** Its arguments, each as it is: there is no shell. */
  readonly args: readonly string[];
  /** What is being done, for messages. */
  readonly operation: string;
  /** Where to get the program, for example `"Install the package iproute2"`. */
  readonly hint: string;
  /**
   * What it reads from its standard input.
   *
   * @default {undefined} Nothing: its standard input is closed.
   */
  readonly stdin?: string;
  /** Ends the program; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * After how many milliseconds it is ended.
   *
   * @default {10_000}
   */
  readonly timeout?: number;
  /**
   * How many bytes are taken from each of its two outputs before it is ended.
   *
   * @default {16 * 1024 * 1024}
   */
  readonly maxOutput?: number;
}

/** What a program left behind. */
export interface ExecResult {
  /** Its exit code. */
  readonly code: number;
  /** What it wrote to standard output; bytes that are not UTF-8 become U+FFFD. */
  readonly stdout: string;
  /** What it wrote to standard error, likewise. */
  readonly stderr: string;
}

/** A program that runs on and says something line by line. */
export interface LineProcess extends AsyncDisposable {
  /**
   * Resolves with the exit code when the program has ended, for whatever reason, and its last line has been told;
   * rejects with what `onLine` threw, which ends the program. Waiting for it does not keep the process alive.
   */
  readonly ended: Promise<number>;
}

/**
 * Runs a program to its end.
 *
 * A bare name is looked for in `PATH`, then in the folders for administrators' tools (`/usr/sbin` and the like), which
 * an ordinary user of Debian does not have in his `PATH`. There, `--allow-run=<tool>` does not help: the runtime makes
 * a path of that name when it starts, by `PATH` alone. It takes `PATH` to name the folder, or `--allow-run=<path>`; the
 * hint of the error says so.
 *
 * @param tool The program's name.
 * @param options Arguments, limits and words for errors.
 * @returns Its exit code and output; a code other than 0 is not an error here.
 * @throws {PermissionError} Without `--allow-run=<tool>`.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {HoldfastError} `start` when the system cannot run it, `timeout` or `output-limit`.
 */
export async function exec(tool: string, options: ExecOptions): Promise<ExecResult> {
  const { operation, stdin, signal, timeout = 10_000, maxOutput = 16 * 1024 * 1024 } = options;
  signal?.throwIfAborted();
  const child = spawn(tool, options, { stdin: stdin === undefined ? "null" : "piped" });
  const outputs = [child.stdout.getReader(), child.stderr.getReader()] as const;

  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  const fail = (code: string, why: string): void =>
    stop(new HoldfastError(`Cannot ${operation}: "${tool}" ${why}`, { code, operation }));
  const overflow = (): void => fail("output-limit", `wrote more than ${maxOutput} bytes`);
  const timer = systemClock.after(timeout, () => fail("timeout", `did not end within ${timeout} ms`));
  const aborted = (): void => stop(signal?.reason);
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    const work = Promise.all([
      child.status,
      collect(outputs[0], maxOutput, overflow),
      collect(outputs[1], maxOutput, overflow),
      stdin === undefined ? undefined : feed(child.stdin, stdin),
    ]);
    const [{ code }, stdout, stderr] = await Promise.race([stopped, work]);
    return { code, stdout, stderr };
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", aborted);
    await stopChild(child, outputs);
  }
}

/**
 * Starts a program and calls back for each line it writes.
 *
 * It does not keep the process alive, and does not outlive it unless the process is killed.
 *
 * @param tool The program's name.
 * @param options Arguments and words for errors.
 * @param onLine Called with each line, without its end, and the stream it came from. A line of more than 64 Ki
 * characters is cut. Not called any more once disposal has begun.
 * @returns The running program; disposing it ends it.
 * @throws {PermissionError} Without `--allow-run=<tool>`.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {HoldfastError} `start` when the system cannot run it.
 */
export function execLines(
  tool: string,
  options: Pick<ExecOptions, "args" | "operation" | "hint">,
  onLine: (line: string, stream: "stdout" | "stderr") => void,
): LineProcess {
  const child = spawn(tool, options);
  child.unref();
  const outputs = [child.stdout.getReader(), child.stderr.getReader()] as const;
  const unload = (): void => void kill(child);
  globalThis.addEventListener("unload", unload);
  let live = true;
  const close = async (): Promise<void> => {
    live = false;
    globalThis.removeEventListener("unload", unload);
    // Whoever waits for the disposal goes on after it.
    child.ref();
    await stopChild(child, outputs);
  };
  const tell = (stream: "stdout" | "stderr") => (line: string): void => {
    if (live) onLine(line, stream);
  };
  const ended = Promise.all([
    child.status,
    readLines(outputs[0], tell("stdout")),
    readLines(outputs[1], tell("stderr")),
  ]).then(([status]) => status.code).finally(close);
  return { ended, [Symbol.asyncDispose]: close };
}

/** How {@linkcode spawn} starts a program. */
export interface SpawnOptions {
  /**
   * Whether something is written to its standard input.
   *
   * @default {"null"}
   */
  readonly stdin?: "null" | "piped";
  /**
   * Whether it has this process's own standard input, output and error, for a person to use.
   *
   * @default {false}
   */
  readonly terminal?: boolean;
  /**
   * Variables added to its environment.
   *
   * @default {{ LC_ALL: "C" }} The language of machines, for outputs that are read by one.
   */
  readonly env?: Readonly<Record<string, string>>;
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** Where systems keep administrators' tools. */
const SBIN = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/**
 * Starts a program, looked for as {@linkcode exec} does, and leaves the rest to the caller.
 *
 * @throws {PermissionError} Without `--allow-run=<tool>`.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {HoldfastError} `start` when the system cannot run it.
 */
export function spawn(
  tool: string,
  options: Pick<ExecOptions, "args" | "operation" | "hint">,
  how: SpawnOptions = {},
): Deno.ChildProcess {
  const { args, operation, hint } = options;
  const elsewhere = Deno.build.os === "windows" || tool.includes("/")
    ? []
    : SBIN.map((folder) => `${folder}/${tool}`);
  let missing: unknown;
  let refused = false;
  for (const command of [tool, ...elsewhere]) {
    const needs = [{ name: "run", command }] as const;
    if (command !== tool && wouldPrompt(needs)) {
      refused = true;
      continue;
    }
    try {
      return start(command, args, how);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        missing ??= error;
      } else if (isNotCapable(error)) {
        if (command === tool) throw new PermissionError(operation, flagsOf(needs), error);
        // The runtime refuses a path that it was not given before it looks whether anything is there.
        refused = true;
      } else {
        if (error instanceof TypeError || !(error instanceof Error)) throw error;
        throw new HoldfastError(`Cannot ${operation}: ${error.message}`, {
          code: "start",
          operation,
          cause: error,
        });
      }
    }
  }
  const way = `. If it is in ${SBIN[0]}, have that in PATH or add --allow-run=${SBIN[0]}/${tool}`;
  throw new ToolMissingError(operation, tool, refused ? hint + way : hint, missing);
}

function start(command: string, args: readonly string[], how: SpawnOptions): Deno.ChildProcess {
  const { stdin = "null", env = { LC_ALL: "C" } } = how;
  const streams = how.terminal
    ? { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const
    : { stdin, stdout: "piped", stderr: "piped" } as const;
  const spawnWith = (env: Record<string, string>): Deno.ChildProcess =>
    new Deno.Command(command, { args: [...args], env, ...streams }).spawn();
  try {
    return spawnWith(env);
  } catch (error) {
    // Under a scoped --allow-run no program is started with variables of the dynamic linker set (official container
    // images set LD_LIBRARY_PATH); the message names them, and empty counts as unset, for the linker as well (ld.so(8)).
    const linker = isNotCapable(error) ? [...error.message.matchAll(/\b(?:LD|DYLD)_\w+/gi)] : [];
    if (linker.length === 0) throw error;
    return spawnWith({ ...env, ...Object.fromEntries(linker.map(([name]) => [name, ""])) });
  }
}

/** Makes sure that nothing of a program is left, also where a child of its own has inherited its outputs. */
async function stopChild(child: Deno.ChildProcess, outputs: readonly Reader[]): Promise<void> {
  const gone = kill(child);
  // One that cannot be read any more is closed already.
  await Promise.allSettled(outputs.map((output) => output.cancel()));
  if (gone) await child.status;
  else child.unref();
}

/** Ends a program by a signal it cannot ignore, or by another one; says whether it is gone, or about to be. */
export function kill(child: Deno.ChildProcess, signal: Deno.Signal = "SIGKILL"): boolean {
  try {
    child.kill(signal);
    return true;
  } catch (error) {
    // It has ended by itself.
    if (error instanceof TypeError || error instanceof Deno.errors.NotFound) return true;
    // What runs as another user (sudo, pkexec) cannot be killed; without its pipes it has to end by itself.
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

async function collect(output: Reader, room: number, overflow: () => void): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (let read = await output.read(); !read.done; read = await output.read()) {
    size += read.value.length;
    if (size > room) {
      overflow();
      break;
    }
    chunks.push(read.value as Uint8Array<ArrayBuffer>);
  }
  return new TextDecoder().decode(await new Blob(chunks).arrayBuffer());
}

async function feed(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch (error) {
    // The program may end without having read everything; its exit code tells what became of it.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** The longest line taken from a program, in characters. */
const MAX_LINE = 64 * 1024;

/** Reads an output to its end, and calls back for each line. */
export async function readLines(output: Reader, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (let read = await output.read(); !read.done; read = await output.read()) {
    const lines = (rest + decoder.decode(read.value, { stream: true })).split("\n");
    // Cut at once: what never ends must not grow.
    rest = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) onLine(withoutEnd(line));
  }
  rest += decoder.decode();
  if (rest !== "") onLine(withoutEnd(rest));
}

function withoutEnd(line: string): string {
  return line.slice(0, MAX_LINE).replace(/\r$/, "");
}
