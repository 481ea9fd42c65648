/** Messages that have come and wait for the one who reads; how many may is the business of whoever fills it. */

/** What an empty message costs as well: nobody may send millions of them for nothing. */
const OVERHEAD = 64;

/** Messages in order, and what comes after the last of them. There is one reader at a time. */
export class MessageQueue {
  readonly #onRead: () => void;
  #messages: Uint8Array<ArrayBuffer>[] = [];
  #at = 0;
  #end: { readonly error?: unknown } | undefined;
  #reader: PromiseWithResolvers<Uint8Array<ArrayBuffer> | null> | undefined;
  /** About how much memory the messages take. */
  size = 0;

  /**
   * @param onRead Called when somebody asks for a message.
   */
  constructor(onRead: () => void = () => {}) {
    this.#onRead = onRead;
  }

  /** Takes a message; nothing after the end. */
  push(message: Uint8Array<ArrayBuffer>): void {
    if (this.#end) return;
    if (this.#reader) return this.#settle(({ resolve }) => resolve(message));
    this.#messages.push(message);
    this.size += message.length + OVERHEAD;
  }

  /** Says that no more will come: those that wait are still read. Only the first end counts. */
  end(end: { readonly error?: unknown } = {}): void {
    this.#end ??= end;
    const { error } = this.#end;
    this.#settle(({ resolve, reject }) => error === undefined ? resolve(null) : reject(error));
  }

  /** Ends it, and forgets what waits. */
  clear(error: unknown): void {
    this.#messages = [];
    this.#at = 0;
    this.size = 0;
    this.end({ error });
  }

  /**
   * Gives the next message.
   *
   * @returns The message, or `null` at the end.
   * @throws What {@linkcode MessageQueue.end} was called with.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const message = this.#messages[this.#at];
    if (message) {
      this.size -= message.length + OVERHEAD;
      // Taken from the front one by one, a long array is copied each time.
      if (++this.#at === this.#messages.length || this.#at === 1024) {
        this.#messages = this.#messages.slice(this.#at);
        this.#at = 0;
      }
      this.#onRead();
      return Promise.resolve(message);
    }
    if (this.#end) {
      const { error } = this.#end;
      return error === undefined ? Promise.resolve(null) : Promise.reject(error);
    }
    this.#reader = Promise.withResolvers();
    const { promise } = this.#reader;
    this.#onRead();
    return promise;
  }

  #settle(how: (reader: PromiseWithResolvers<Uint8Array<ArrayBuffer> | null>) => void): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) how(reader);
  }
}
