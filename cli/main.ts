/**
 * The command `holdfast`: see the network of this machine, and every change of it as it happens.
 *
 * ```sh
 * deno run -A jsr:@holdfast/net/cli status
 * deno run -A jsr:@holdfast/net/cli watch --json
 * deno install -g -A -n holdfast jsr:@holdfast/net/cli
 * ```
 *
 * `holdfast help` names the commands; `holdfast permissions watch` prints flags to use in place of `-A`. With `--json` a
 * command writes one JSON object per line to standard output and nothing else. Exit codes: 0 fine, 1 failed, 2 usage,
 * 3 permission missing, 4 tool missing, 124 timed out, 130 interrupted.
 *
 * @module
 */

import { onShutdown } from "../internal/shutdown.ts";
import { commandTable } from "./command_table.ts";
import { EXIT, failureOf, failureText } from "./failure.ts";
import { commandHelp, programHelp } from "./help.ts";
import { jsonLine } from "./json_line.ts";
import type { Source } from "./input.ts";
import { LineWriter, OutputClosed, type Sink } from "./output.ts";
import { parseCommandLine } from "./parse.ts";
import type { Context } from "./spec.ts";
import { type Style, styleFor } from "./style.ts";
import { VERSION } from "./version.ts";

export type { Source } from "./input.ts";
export type { Sink } from "./output.ts";

/** What the program uses of the world around it. */
export interface MainOptions {
  /**
   * Where a command reads from, where it does.
   *
   * @default {Deno.stdin}
   */
  readonly stdin?: Source;
  /**
   * Where results go.
   *
   * @default {Deno.stdout}
   */
  readonly stdout?: Sink;
  /**
   * Where remarks and errors go.
   *
   * @default {Deno.stderr}
   */
  readonly stderr?: Sink;
  /** Ends a command that runs on; the exit code is 130 then. */
  readonly signal?: AbortSignal;
  /**
   * Whether colours are wanted on a terminal.
   *
   * @default {!Deno.noColor}
   */
  readonly colors?: boolean;
}

/**
 * Runs one command.
 *
 * @param args The command line, without the program's name.
 * @param options Where to write, and what ends it.
 * @returns The exit code; it never rejects for a failure of the command.
 *
 * @example
 * ```ts
 * import { main } from "@holdfast/net/cli";
 * import { assertEquals } from "@std/assert";
 *
 * const written: string[] = [];
 * const stdout = {
 *   isTerminal: () => false,
 *   write(bytes: Uint8Array) {
 *     written.push(new TextDecoder().decode(bytes));
 *     return Promise.resolve(bytes.length);
 *   },
 * };
 * assertEquals(await main(["--version"], { stdout }), 0);
 * assertEquals(written.length, 1);
 * ```
 */
export async function main(args: readonly string[], options: MainOptions = {}): Promise<number> {
  const { stdin = Deno.stdin, stdout = Deno.stdout, stderr = Deno.stderr, colors = !Deno.noColor } = options;
  const { signal = new AbortController().signal } = options;
  const output = new LineWriter(stdout);
  const errors = new LineWriter(stderr);
  try {
    return await dispatch(args, { stdin, stdout, stderr, output, errors, signal, colors });
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.fine;
    if (signal.aborted) return EXIT.interrupted;
    const failure = failureOf(error);
    // Whoever closed standard output or error has no wish to hear of it.
    if (wantsJson(args)) await output.write(jsonLine(failure)).catch(() => {});
    await errors.write(failureText(failure)).catch(() => {});
    // A defect of ours, and not of the world: whoever reports it needs to say where.
    if (isDefect(error)) await errors.write(`${error.stack}`).catch(() => {});
    return failure.exit;
  }
}

interface World {
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly output: LineWriter;
  readonly errors: LineWriter;
  readonly signal: AbortSignal;
  readonly colors: boolean;
}

async function dispatch(args: readonly string[], world: World): Promise<number> {
  const { output, errors, signal } = world;
  const style = styleFor(world.colors && world.stdout.isTerminal());
  const request = parseCommandLine(commandTable, args);
  if (request.kind === "version") {
    await output.write(VERSION);
    return EXIT.fine;
  }
  if (request.kind === "help") {
    await output.write(
      request.command ? commandHelp(request.command, style) : programHelp(commandTable, style),
    );
    return EXIT.fine;
  }
  // The line that stands at the terminal now makes room for those that stay.
  let shown = "";
  const cleared = (text: string): string => shown === "" ? text : `\r\x1b[K${text}\n${shown}`;
  const stay = async (text: string): Promise<void> => {
    if (shown === "") return await errors.write(text);
    await errors.bytes(new TextEncoder().encode(cleared(text)));
  };
  const context: Context = {
    args: request.args,
    values: request.values,
    json: request.values.flag("json"),
    style,
    signal,
    stdin: world.stdin,
    write: (bytes) => output.bytes(bytes),
    print: (text) => output.write(text),
    emit: (line) => output.write(jsonLine(line)),
    note: (text) => world.stderr.isTerminal() ? stay(dimmed(text, world)) : Promise.resolve(),
    live: async (text) => {
      if (!world.stderr.isTerminal()) return;
      shown = text === "" ? "" : dimmed(text, world);
      await errors.bytes(new TextEncoder().encode(`\r\x1b[K${shown}`));
    },
    complain: (text) => stay(`holdfast: ${text}`),
  };
  const command = await request.command.load();
  const code = await command.run(context);
  return signal.aborted ? EXIT.interrupted : code;
}

function dimmed(text: string, world: World): string {
  const style: Style = styleFor(world.colors);
  return style.dim(text);
}

function isDefect(error: unknown): error is TypeError | ReferenceError {
  return error instanceof TypeError || error instanceof ReferenceError;
}

/** Whether a failure is told to a program too; also where the command line could not be read to its end. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).includes("--json");
}

/** Runs the command line of this process; on a signal it closes what is open, and ends the way that signal does. */
async function runProcess(): Promise<void> {
  const stop = new AbortController();
  const running = main(Deno.args, { signal: stop.signal });
  using _shutdown = onShutdown({
    async [Symbol.asyncDispose]() {
      stop.abort(new DOMException("Interrupted", "AbortError"));
      await running;
    },
  });
  // The exit code only: Deno.exit() would cut off whatever is still being closed.
  Deno.exitCode = await running;
}

if (import.meta.main) await runProcess();
