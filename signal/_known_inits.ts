/** The INITs that were read: those answered and not confirmed yet, and those that are done with. */

import type { RandomBytes } from "../internal/crypto.ts";

/** What is remembered of an answer. */
export interface AnsweredInit {
  /** The hash of the INIT. */
  readonly name: string;
  /** Who sent it. */
  readonly peer: string;
}

/** What it is made with. */
export interface KnownInitsOptions<T> {
  /** The monotonic time, in milliseconds. */
  readonly now: () => number;
  /** Random bytes. */
  readonly random: RandomBytes;
  /** Is told of each answer that nobody has confirmed. */
  readonly gone: (answer: T) => void;
}

/**
 * A bounded memory of INITs that were authentic. Who replays recorded ones can fill it; which one has to go is a matter of
 * chance, so that he cannot choose that of somebody else.
 */
export class KnownInits<T extends AnsweredInit> {
  readonly #options: KnownInitsOptions<T>;
  readonly #answers = new Map<
    string,
    { readonly answer: T; readonly since: number; sent: number; times: number }
  >();
  readonly #perPeer = new Map<string, Set<string>>();
  readonly #done = new Set<string>();
  #tokens: number = BURST;
  #refilled: number;

  /** @param options Time, chance, and who is told. */
  constructor(options: KnownInitsOptions<T>) {
    this.#options = options;
    this.#refilled = options.now();
  }

  /** The answer that an INIT had; `repeated` where it has been answered often enough just now, or is done with. */
  find(name: string): T | "repeated" | undefined {
    this.#expire();
    const known = this.#answers.get(name);
    if (known === undefined) return this.#done.has(name) ? "repeated" : undefined;
    const now = this.#options.now();
    if (now - known.sent >= REPEAT_TIME) Object.assign(known, { sent: now, times: 0 });
    // The same bytes come by every broker, and are answered by each; who floods with them is not.
    return ++known.times > MAX_REPEATS ? "repeated" : known.answer;
  }

  /** Takes leave to read one that is not known: at most 64 at once, and as many a second. */
  take(): boolean {
    const now = this.#options.now();
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#refilled) * BURST / 1000);
    this.#refilled = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Remembers an answer. */
  add(answer: T): void {
    const now = this.#options.now();
    const ofPeer = this.#perPeer.get(answer.peer) ?? new Set();
    // What has to go here may be sent again, and is answered again then.
    if (ofPeer.size >= MAX_PER_PEER) this.#forget(this.#any([...ofPeer]));
    else if (this.#answers.size >= MAX_ANSWERS) this.#forget(this.#any([...this.#answers.keys()]));
    this.#answers.set(answer.name, { answer, since: now, sent: now, times: 1 });
    this.#perPeer.set(answer.peer, ofPeer.add(answer.name));
  }

  /** An INIT that was no replay, and will be nothing but one from now on. */
  confirm(name: string): void {
    this.#remove(name);
    this.#finish(name);
  }

  #expire(): void {
    const now = this.#options.now();
    for (const [name, { since }] of this.#answers) {
      if (now - since < ANSWER_LIFETIME) break;
      this.#forget(name);
      this.#finish(name);
    }
  }

  #forget(name: string): void {
    const answer = this.#remove(name);
    if (answer) this.#options.gone(answer);
  }

  #remove(name: string): T | undefined {
    const answer = this.#answers.get(name)?.answer;
    if (answer === undefined) return undefined;
    this.#answers.delete(name);
    const ofPeer = this.#perPeer.get(answer.peer);
    ofPeer?.delete(name);
    if (ofPeer?.size === 0) this.#perPeer.delete(answer.peer);
    return answer;
  }

  #finish(name: string): void {
    this.#done.add(name);
    const [oldest] = this.#done;
    if (this.#done.size > MAX_DONE && oldest !== undefined) this.#done.delete(oldest);
  }

  #any(names: readonly string[]): string {
    const [high = 0, low = 0] = this.#options.random(2);
    return names[(high << 8 | low) % names.length] ?? "";
  }
}

/** How many INITs are read at once, and how many a second in the long run. */
const BURST = 64;

/** How often the same INIT is answered in {@linkcode REPEAT_TIME}: once for each broker that it came by. */
const MAX_REPEATS = 4;

/** After how many milliseconds the same INIT is answered as often again. */
const REPEAT_TIME = 200;

/** For how many milliseconds an answer is kept that nobody confirms. */
const ANSWER_LIFETIME = 30_000;

/** How many answers are kept that nobody has confirmed. */
const MAX_ANSWERS = 1024;

/** How many of them are for one peer. */
const MAX_PER_PEER = 16;

/** How many INITs are remembered that are done with. */
const MAX_DONE = 4096;
