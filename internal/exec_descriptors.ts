/** Programs that are given open descriptors: what `Deno.Command` cannot do, by Node's part of the runtime. */

import type { ChildProcess } from "node:child_process";
import { type Clock, systemClock } from "./clock.ts";
import { HoldfastError, isNotCapable, PermissionError, ToolMissingError } from "./errors.ts";
import { flagsOf } from "./permissions.ts";

/** What a program has as one of its three standard streams: nothing, what this process has, or a descriptor. */
export type StandardStream = "null" | "inherit" | number;

/** How to start a program with descriptors. */
export interface ExecDescriptorsOptions {
  /** Its arguments, each as it is: there is no shell. */
  readonly args: readonly string[];
  /** What is being done, for messages. */
  readonly operation: string;
  /** Where to get the program. */
  readonly hint: string;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * What it gets as 3, 4, 5 and so on, each of them once; this process keeps its own. The runtime makes them blocking, here as
   * well, since that belongs to what is behind a descriptor.
   */
  readonly descriptors: readonly number[];
  /**
   * Called in the same turn in which the program has got its descriptors, before anything else of this process can use them;
   * told whether it was started.
   */
  readonly onPassed?: (started: boolean) => void;
  /**
   * Its standard input, output and error.
   *
   * @default {["null", "inherit", "inherit"]}
   */
  readonly stdio?: readonly [StandardStream, StandardStream, StandardStream];
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock | undefined;
}

/** How a program has ended. */
export interface ProgramEnd {
  /** Its exit code, `null` where a signal has ended it. */
  readonly code: number | null;
  /** The signal, `null` where none has. */
  readonly signal: string | null;
}

/** A program that runs; disposing it ends it. */
export interface DescriptorsProcess extends AsyncDisposable {
  /** The number of its process. */
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<ProgramEnd>;
  /** Sends it a signal; without effect where it has ended. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGHUP" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2" | "SIGWINCH"): void;
  /** Lets this process end before it. */
  unref(): void;
}

/** How long a program may take to end by itself when it is asked to, in milliseconds. */
const GRACE = 5000;

/**
 * Starts a program that has descriptors of this process.
 *
 * @param tool The program's name, or its path.
 * @param options Arguments, descriptors, environment and words for errors.
 * @returns The running program.
 * @throws {PermissionError} Without `--allow-run=<tool>` and `--allow-env=NODE_V8_COVERAGE`, which Node's part reads.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {HoldfastError} `start` when the system cannot run it.
 */
export async function execWithDescriptors(
  tool: string,
  options: ExecDescriptorsOptions,
): Promise<DescriptorsProcess> {
  const { args, operation, hint, env, descriptors, stdio = ["null", "inherit", "inherit"] } = options;
  checkDescriptors(descriptors);
  const { spawn } = await import("node:child_process");
  const { promise: started, resolve, reject } = Promise.withResolvers<void>();
  let child: ChildProcess | undefined;
  try {
    try {
      child = spawn(tool, [...args], {
        env: { ...env },
        stdio: [...stdio.map((stream) => stream === "null" ? "ignore" as const : stream), ...descriptors],
      });
    } finally {
      options.onPassed?.(child?.pid !== undefined);
    }
    child.once("spawn", resolve);
    child.once("error", reject);
    await started;
  } catch (error) {
    throw startError(error, tool, operation, hint);
  }
  // What it is told of later is a signal that came too late.
  child.on("error", () => {});
  return new Running(child, options.clock ?? systemClock);
}

/** In the new process they are put into their places one by one, and what stood in a place is gone then. */
function checkDescriptors(descriptors: readonly number[]): void {
  for (const [at, fd] of descriptors.entries()) {
    const overwritten = fd !== 3 + at && fd >= 3 && fd < 3 + at;
    if (Number.isInteger(fd) && fd >= 0 && !overwritten && descriptors.indexOf(fd) === at) continue;
    throw new RangeError(`Cannot pass descriptors: ${fd} cannot be number ${3 + at} of [${descriptors}]`);
  }
}

function startError(error: unknown, tool: string, operation: string, hint: string): unknown {
  if (isNotCapable(error)) {
    const needs = /\benv\b/.test(error.message)
      ? [{ name: "env", variable: "NODE_V8_COVERAGE" } as const]
      : [{ name: "run", command: tool } as const];
    return new PermissionError(operation, flagsOf(needs), error);
  }
  if (!(error instanceof Error)) return error;
  const { code } = error as { readonly code?: unknown };
  if (code === "ENOENT") return new ToolMissingError(operation, tool, hint, error);
  if (error instanceof TypeError || error instanceof RangeError) return error;
  return new HoldfastError(`Cannot ${operation}: ${error.message}`, {
    code: "start",
    operation,
    cause: error,
  });
}

class Running implements DescriptorsProcess {
  readonly pid: number;
  readonly ended: Promise<ProgramEnd>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;

  constructor(child: ChildProcess, clock: Clock) {
    this.#child = child;
    this.#clock = clock;
    this.pid = child.pid ?? -1;
    this.ended = new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) {
        resolve({ code: child.exitCode, signal: child.signalCode });
      } else child.once("exit", (code, signal) => resolve({ code, signal }));
    });
  }

  kill(signal: Parameters<DescriptorsProcess["kill"]>[0]): void {
    this.#child.kill(signal);
  }

  unref(): void {
    this.#child.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.ref();
    this.kill("SIGTERM");
    const timer = this.#clock.after(GRACE, () => this.kill("SIGKILL"));
    await this.ended;
    timer.cancel();
  }
}
