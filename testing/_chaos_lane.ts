/** One direction of one connection through a chaos link: what comes in, when it goes out, and how. */

import type { Clock, Timer } from "../internal/clock.ts";
import type { ChaosLaneFaults } from "./chaos_faults.ts";

/** Where a lane leads. */
export interface LaneExit {
  /** Writes; resolves when the system took it, or never will. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends this direction. */
  end(): void;
  /** Resets the end that this direction leads to. */
  reset(): void;
  /** Ends the whole connection, at both ends. */
  cut(how: "end" | "reset"): void;
  /** Told that there is room again. */
  room(): void;
}

/** What a lane is made with. */
export interface LaneOptions {
  /** What happens now; asked again at each step. */
  readonly faults: () => ChaosLaneFaults;
  /** Source of time. */
  readonly clock: Clock;
  /** Chance, from 0 to below 1. */
  readonly random: () => number;
  /** How many bytes may wait. */
  readonly buffer: number;
  /** Where it leads. */
  readonly exit: LaneExit;
  /** Told of each piece that went out. */
  readonly passed: (bytes: number) => void;
}

interface Item {
  /** When it may go out, on the monotonic clock. */
  readonly due: number;
  readonly what: Uint8Array | "end" | "reset";
}

/** With a limited bandwidth, pieces are as large as what passes in this time, in milliseconds. */
const STEP = 20;

/** A lane. */
export class ChaosLane {
  readonly #options: LaneOptions;
  readonly #queue: Item[] = [];
  #held = 0;
  #full = false;
  /** When the next piece may go out, by bandwidth and pauses. */
  #free = 0;
  #passed = 0;
  #over = false;
  #wake: (() => void) | undefined;

  /** @param options Where it leads, and what happens on the way. */
  constructor(options: LaneOptions) {
    this.#options = options;
    // Whoever makes it has both lanes of a connection before the first thing happens.
    queueMicrotask(() => void this.#run());
  }

  /** Takes what came in; returns whether there is room for more. */
  push(what: Uint8Array | "end" | "reset"): boolean {
    if (this.#over) return true;
    const { faults, clock, random, buffer } = this.#options;
    const { latency = 0, jitter = 0, closeDelay = 0 } = faults();
    const later = latency + jitter * random() + (what === "end" ? closeDelay : 0);
    // What is due before its turn waits all the same: nothing overtakes what came before.
    this.#queue.push({ due: clock.monotonic() + later, what });
    if (typeof what !== "string") this.#held += what.length;
    this.#full ||= this.#held >= buffer;
    this.refresh();
    return !this.#full;
  }

  /** Looks again: the faults are others. */
  refresh(): void {
    this.#wake?.();
  }

  /** Nothing goes out any more. */
  stop(): void {
    this.#over = true;
    this.#queue.length = 0;
    this.refresh();
  }

  async #run(): Promise<void> {
    const { exit, clock, faults } = this.#options;
    while (!this.#over) {
      const now = faults();
      if (!now.silent && this.#passed >= (now.resetAfter ?? Infinity)) return exit.cut("reset");
      if (!now.silent && this.#passed >= (now.endAfter ?? Infinity)) return exit.cut("end");
      const item = this.#queue[0];
      if (!item || now.silent) {
        await this.#change();
        continue;
      }
      const left = Math.max(item.due, this.#free) - clock.monotonic();
      if (left > 0) {
        await this.#change(left);
        continue;
      }
      this.#queue.shift();
      if (typeof item.what !== "string") await this.#pass(item.what, item.due, now);
      else if (item.what === "end") exit.end();
      else return exit.reset();
    }
  }

  /** Writes a piece, and puts the rest back. */
  async #pass(bytes: Uint8Array, due: number, faults: ChaosLaneFaults): Promise<void> {
    const { clock, random, exit, buffer, passed } = this.#options;
    const { bandwidth = Infinity, slice = Infinity, sliceDelay = 0 } = faults;
    const size = Math.min(
      slice === Infinity ? Infinity : 1 + Math.floor(random() * slice),
      Math.max(1, Math.floor(bandwidth * STEP / 1000)),
      (faults.resetAfter ?? Infinity) - this.#passed,
      (faults.endAfter ?? Infinity) - this.#passed,
    );
    const piece = bytes.subarray(0, size);
    if (piece.length < bytes.length) this.#queue.unshift({ due, what: bytes.subarray(piece.length) });
    this.#held -= piece.length;
    this.#passed += piece.length;
    const begin = Math.max(this.#free, clock.monotonic());
    this.#free = begin + Math.max(piece.length / bandwidth * 1000, sliceDelay);
    passed(piece.length);
    await exit.write(piece);
    if (this.#full && this.#held <= buffer / 2 && !this.#over) {
      this.#full = false;
      exit.room();
    }
  }

  /** Waits for news, but no longer than some milliseconds. */
  async #change(milliseconds?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let timer: Timer | undefined;
    if (milliseconds !== undefined) timer = this.#options.clock.after(milliseconds, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    timer?.cancel();
  }
}
