/** Running the command line in tests: in this process with captured output, or as a process of its own. */

import { main } from "../cli/main.ts";

/** What a call left behind. */
export interface CliResult {
  /** The exit code. */
  readonly code: number;
  /** What went to standard output. */
  readonly stdout: string;
  /** What went to standard error. */
  readonly stderr: string;
}

/** A sink that keeps what is written to it. */
export class TextSink {
  /** All that was written. */
  text = "";
  readonly #terminal: boolean;
  #waiters: (() => void)[] = [];

  /** @param terminal What it pretends to be. */
  constructor(terminal = false) {
    this.#terminal = terminal;
  }

  /** Keeps the bytes. */
  write(bytes: Uint8Array): Promise<number> {
    this.text += new TextDecoder().decode(bytes);
    for (const wake of this.#waiters.splice(0)) wake();
    return Promise.resolve(bytes.length);
  }

  /** Whether it pretends to be a terminal. */
  isTerminal(): boolean {
    return this.#terminal;
  }

  /** Resolves when what was written has some text in it. */
  async has(text: string): Promise<void> {
    while (!this.text.includes(text)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

/** Standard input that a test types. */
export class TextSource {
  /** What is typed. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly #terminal: boolean;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  /**
   * @param text What is typed at once, and then ends; without it the test goes on by itself.
   * @param terminal What it pretends to be.
   */
  constructor(text?: string, terminal = false) {
    this.#terminal = terminal;
    this.readable = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => void (this.#controller = undefined),
    });
    if (text === undefined) return;
    if (text !== "") this.type(text);
    this.end();
  }

  /** Types. */
  type(text: string): void {
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }

  /** Types no more. */
  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  /** Whether it pretends to be a terminal. */
  isTerminal(): boolean {
    return this.#terminal;
  }
}

/** Runs a command in this process. */
export async function runMain(
  args: readonly string[],
  signal?: AbortSignal,
  stdin: TextSource = new TextSource(""),
): Promise<CliResult> {
  const stdout = new TextSink();
  const stderr = new TextSink();
  const code = await main(args, { stdin, stdout, stderr, colors: false, ...(signal ? { signal } : {}) });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** How to run the command line as a process. */
export interface ChildOptions {
  /** The permission flags. */
  readonly flags: readonly string[];
  /** Variables to set. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The arguments of the runtime that run the command line with just some permissions, and never ask. */
export function denoArgs(args: readonly string[], flags: readonly string[]): string[] {
  const entry = new URL("../cli/main.ts", import.meta.url).pathname;
  return ["run", "--quiet", "--no-check", "--no-prompt", ...flags, entry, ...args];
}

/** Runs a command as a process of its own, to its end. */
export async function runChild(
  args: readonly string[],
  { flags, env = {} }: ChildOptions,
): Promise<CliResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: denoArgs(args, flags),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
