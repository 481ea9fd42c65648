/** Links over the standard input and output of a command. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import type { ByteProcess, ByteProcessEnd } from "../internal/exec_bytes.ts";
import type { ExecAddress } from "./address.ts";
import type { Link } from "./_link.ts";

/** What is known of a command. */
export interface ExecLinkOptions {
  /** The program's name. */
  readonly command: string;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** How long each step of closing waits for the command to end, in milliseconds. */
const PATIENCE = 2000;

/** How long the end of the output waits for the end of the command, in milliseconds: only that tells one from a failure. */
const VERDICT = 1000;

/** Makes a link of a command that runs, and that belongs to it now. */
export function execLink(process: ByteProcess, options: ExecLinkOptions): Link {
  return new ExecLink(process, options);
}

class ExecLink implements Link {
  readonly transport = "exec";
  readonly unit = "bytes";
  readonly halfClose = true;
  readonly localAddress: ExecAddress = { transport: "exec", command: "" };
  readonly remoteAddress: ExecAddress;
  readonly #process: ByteProcess;
  readonly #clock: Clock;
  #gone = false;
  #inputClosed: Promise<void> | undefined;
  /** Settles what waits when the link is ended by us. */
  readonly #cuts = new Set<(error: unknown) => void>();

  constructor(process: ByteProcess, { command, clock = systemClock }: ExecLinkOptions) {
    this.#process = process;
    this.#clock = clock;
    this.remoteAddress = { transport: "exec", command };
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#unlessCut(() => this.#read());
  }

  write(data: Uint8Array): Promise<void> {
    return this.#unlessCut(() => this.#process.write(data));
  }

  closeWrite(): Promise<void> {
    return this.#unlessCut(() => this.#inputClosed ??= this.#process.closeInput());
  }

  async close(): Promise<void> {
    if (!this.#leave()) return;
    const process = this.#process;
    this.#inputClosed ??= process.closeInput();
    this.#inputClosed.catch(() => {}); // it has ended, or does not read
    // What it still says is dropped, so that it need not wait for anybody before it ends.
    void this.#drain();
    if (!await this.#endWithin(PATIENCE)) {
      process.terminate();
      await this.#endWithin(PATIENCE);
    }
    process.kill();
    // What runs as another user cannot be killed.
    await this.#endWithin(PATIENCE);
  }

  abort(): void {
    if (this.#leave()) this.#process.kill();
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const chunk = await this.#process.read();
    if (chunk) return chunk;
    const end = await this.#endWithin(VERDICT);
    if (end && end.code !== 0) throw endError(this.remoteAddress.command, end);
    return null;
  }

  async #drain(): Promise<void> {
    try {
      while (await this.#process.read());
    } catch {
      // It is over all the same.
    }
  }

  /** Whether it was there until now. */
  #leave(): boolean {
    if (this.#gone) return false;
    this.#gone = true;
    for (const cut of this.#cuts) cut(closed());
    return true;
  }

  #unlessCut<T>(work: () => Promise<T>): Promise<T> {
    if (this.#gone) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#cuts.add(reject);
      work().then(resolve, reject).finally(() => this.#cuts.delete(reject));
    });
  }

  /** How it ended, or `null` where it has not within a time. */
  async #endWithin(milliseconds: number): Promise<ByteProcessEnd | null> {
    const late = Promise.withResolvers<null>();
    const timer = this.#clock.after(milliseconds, () => late.resolve(null), { ref: true });
    try {
      return await Promise.race([this.#process.ended, late.promise]);
    } finally {
      timer.cancel();
    }
  }
}

function endError(command: string, { code, signal, stderr }: ByteProcessEnd): HoldfastError {
  const how = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
  const said = stderr.replace(/\s+/g, " ").replace(/\p{Cc}/gu, "?");
  const operation = `read from "${command}"`;
  return new HoldfastError(`Cannot ${operation}: ${how}${said === "" ? "" : `, and said: ${said}`}`, {
    code: "exec-ended",
    operation,
    // Where its words tell nothing better, it is a connection that the other end has broken.
    cause: new Deno.errors.ConnectionReset("the command has ended"),
    hint: "Run the command by hand to see what it needs",
  });
}

function closed(): Error {
  return new Deno.errors.Interrupted("the command was let go");
}
