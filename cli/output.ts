/** Where the program writes: whole lines, one after the other, and quietly over when nobody reads any more. */

/** A place to write to; `Deno.stdout` is one. */
export interface Sink {
  /** Writes some bytes and tells how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Whether a person sees it. */
  isTerminal(): boolean;
}

/** Nobody reads standard output any more (`| head -1`): no failure, but the end. */
export class OutputClosed extends Error {
  /** The class's name. */
  override name = "OutputClosed";
}

/** Writes lines to a sink, each as a whole, in the order they come. */
export class LineWriter {
  readonly #sink: Sink;
  #last: Promise<void> = Promise.resolve();

  /** @param sink Where to write. */
  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /**
   * Writes a line and its end.
   *
   * @param text The line, or several.
   * @returns Resolves when all is written.
   * @throws {OutputClosed} When the reader is gone.
   */
  write(text: string): Promise<void> {
    return this.bytes(new TextEncoder().encode(text + "\n"));
  }

  /**
   * Writes bytes as they are.
   *
   * @param bytes The bytes; not touched by the caller until it resolves.
   * @returns Resolves when all is written.
   * @throws {OutputClosed} When the reader is gone.
   */
  bytes(bytes: Uint8Array): Promise<void> {
    // Behind what was written before, even if that failed: then this fails the same way.
    this.#last = this.#last.catch(() => {}).then(() => this.#writeAll(bytes));
    // A caller may not wait for it; the next who does gets the same failure.
    this.#last.catch(() => {});
    return this.#last;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#sink.write(rest));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) {
        throw new OutputClosed("Cannot write: nobody reads", { cause: error });
      }
      throw error;
    }
  }
}
