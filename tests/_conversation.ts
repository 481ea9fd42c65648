/** A conversation with an echo: it reads all the time, as programs do, and knows which of its questions were answered. */

import { constant } from "../recover/backoff.ts";
import { dial } from "../recover/dial.ts";
import { dialMemory } from "../recover/dial_memory.ts";
import { type Heartbeat, heartbeat } from "../recover/heartbeat.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { retry, type RetryPolicy } from "../recover/retry.ts";

/** The conversation; disposing it closes the connection. */
export class Conversation implements Disposable {
  readonly #conn: Deno.Conn;
  readonly #waiting = new Set<{ readonly target: number; resolve(): void; reject(error: Error): void }>();
  #asked = 0;
  #heard = 0;
  #over: Error | undefined;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
    this.#read().catch((error) => error).then((error) => this.#end(error));
  }

  /** Sends so many bytes, and resolves when all that was sent so far has come back. */
  async ask(length: number = 1): Promise<void> {
    const target = this.#asked += length;
    for (let rest = length; rest > 0;) rest -= await this.#conn.write(new Uint8Array(rest));
    if (this.#heard >= target) return;
    if (this.#over) throw this.#over;
    await new Promise<void>((resolve, reject) => this.#waiting.add({ target, resolve, reject }));
  }

  [Symbol.dispose](): void {
    if (!this.#over) this.#conn.close();
  }

  async #read(): Promise<Error> {
    const buffer = new Uint8Array(16_384);
    while (true) {
      const length = await this.#conn.read(buffer);
      if (length === null) return new Deno.errors.UnexpectedEof("Cannot go on: the other end has gone");
      this.#heard += length;
      for (const waiting of this.#waiting) {
        if (this.#heard < waiting.target) continue;
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
    }
  }

  #end(error: Error): void {
    // Nothing can come any more, and whoever disposes it later need not close it.
    if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) {
      this.#conn.close();
    }
    this.#over = error;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }
}

/** How {@linkcode persevere} goes about it. */
export interface Perseverance {
  /** Where the echo is, for example `"10.9.2.2:80"`. */
  readonly target: string;
  /** The network, where somebody watches it. */
  readonly network?: NetworkView;
  /** Told of each connection that is made, and of its heartbeat. */
  readonly connected?: (beat: Heartbeat, attempt: number) => void;
  /**
   * The policy.
   *
   * @default tries for as long as it takes, every 100 ms
   */
  readonly policy?: RetryPolicy;
}

/** The remedy: a heartbeat on each connection, a new one by `dial()` when it is dead, the work begun anew by `retry()`. */
export function persevere(
  { target, network, connected, policy = patient(network) }: Perseverance,
  work: (talk: Conversation, attempt: number) => Promise<void>,
): Promise<void> {
  const watched = network ? { network } : {};
  return policy.execute(async ({ signal, attempt }) => {
    const { conn } = await dial(target, { signal, attemptTimeout: 1000, memory: dialMemory(), ...watched });
    using talk = new Conversation(conn);
    using beat = heartbeat({ ping: () => talk.ask(), interval: 200, timeout: 1000, ...watched });
    connected?.(beat, attempt);
    const dead = new Promise<never>((_, reject) =>
      beat.signal.addEventListener("abort", () => reject(beat.signal.reason), { once: true })
    );
    await Promise.race([work(talk, attempt), dead]);
  });
}

/** A policy that does not give up: for work that may be done twice. */
export function patient(network?: NetworkView): RetryPolicy {
  return retry({ network, idempotent: true, maxAttempts: 200, backoff: constant(100) });
}
