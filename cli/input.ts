/** Where the program reads from. */

/** A place to read from; `Deno.stdin` is one. */
export interface Source {
  /** What comes, until its end; locked once somebody reads. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Whether a person types it. */
  isTerminal(): boolean;
}
