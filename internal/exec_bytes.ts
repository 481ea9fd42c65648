/** A program whose standard input and output are a stream of bytes, for as long as somebody uses them. */

import { type ExecOptions, kill, readLines, spawn } from "./exec.ts";
import { type Clock, systemClock } from "./clock.ts";

/** How {@linkcode execBytes} runs a program. */
export interface ExecBytesOptions extends Pick<ExecOptions, "args" | "operation" | "hint"> {
  /** Called with each line that it writes to its standard error. */
  readonly onLine?: (line: string) => void;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How a program ended. */
export interface ByteProcessEnd {
  /** Its exit code. */
  readonly code: number;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
  /** The end of what it wrote to its standard error. */
  readonly stderr: string;
}

/** A program that runs. There is at most one pending read and one pending write. */
export interface ByteProcess {
  /** Its number. */
  readonly pid: number;
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<ByteProcessEnd>;
  /** Reads from its standard output; `null` at the end. Keeps this process alive meanwhile. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Writes to its standard input, all of it. */
  write(data: Uint8Array): Promise<void>;
  /** Closes its standard input, after what is being written. */
  closeInput(): Promise<void>;
  /** Asks it to end, by SIGTERM, which it may ignore. */
  terminate(): void;
  /** Ends it at once and lets everything of it go. Whatever it says then is dropped; safe twice. */
  kill(): void;
}

/** How much of the standard error is kept for the message that tells of the end, in characters. */
const TAIL = 1000;

/** How long the last of the standard error is waited for once the program has ended, in milliseconds: a child of it may hold it open. */
const LAST_WORDS = 250;

/**
 * Starts a program. It has this process's environment as it is, and is looked for as by {@linkcode exec}.
 *
 * It keeps this process alive only while something is read from it or written to it, and does not outlive it unless this
 * process is killed; then it finds its input closed.
 *
 * @param tool The program's name, or its path.
 * @param options Arguments, and words for errors.
 * @throws {PermissionError} Without `--allow-run=<tool>`.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {HoldfastError} `start` when the system cannot run it.
 */
export function execBytes(tool: string, options: ExecBytesOptions): ByteProcess {
  const child = spawn(tool, options, { stdin: "piped", env: {} });
  return new Running(child, options);
}

class Running implements ByteProcess {
  readonly pid: number;
  readonly ended: Promise<ByteProcessEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #errors: ReadableStreamDefaultReader<Uint8Array>;
  readonly #unload = (): void => void kill(this.#child);
  /** How many wait for it. */
  #users = 0;
  #over = false;
  #stderr = "";

  constructor(child: Deno.ChildProcess, { onLine, clock = systemClock }: ExecBytesOptions) {
    this.#child = child;
    this.pid = child.pid;
    child.unref();
    this.#input = child.stdin.getWriter();
    // Who writes is told by the write itself.
    this.#input.closed.catch(() => {});
    this.#output = child.stdout.getReader();
    this.#errors = child.stderr.getReader();
    globalThis.addEventListener("unload", this.#unload);
    const said = readLines(this.#errors, (line) => {
      this.#stderr = `${this.#stderr}\n${line}`.slice(-TAIL);
      onLine?.(line);
    }).catch(() => {}); // what cannot be read is missing in a message
    this.ended = child.status.then(async ({ code, signal }) => {
      globalThis.removeEventListener("unload", this.#unload);
      const late = Promise.withResolvers<void>();
      const timer = clock.after(LAST_WORDS, late.resolve, { ref: this.#users > 0 });
      await Promise.race([said, late.promise]);
      timer.cancel();
      return { code, signal, stderr: this.#stderr.trim() };
    });
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    using _use = this.#use();
    const { done, value } = await this.#output.read();
    return done ? null : value as Uint8Array<ArrayBuffer>;
  }

  async write(data: Uint8Array): Promise<void> {
    using _use = this.#use();
    await this.#input.write(data);
  }

  async closeInput(): Promise<void> {
    using _use = this.#use();
    await this.#input.close();
  }

  terminate(): void {
    kill(this.#child, "SIGTERM");
  }

  kill(): void {
    if (this.#over) return;
    this.#over = true;
    kill(this.#child);
    for (const stream of [this.#output, this.#errors]) stream.cancel().catch(() => {}); // closed already
    this.#input.abort().catch(() => {}); // likewise
  }

  /** Keeps this process alive. */
  #use(): Disposable {
    if (this.#users++ === 0) this.#child.ref();
    return {
      [Symbol.dispose]: () => {
        if (--this.#users === 0) this.#child.unref();
      },
    };
  }
}
