/** How a pipe is, and how it ended. */

import type { PipeEvent, PipeEventType, PipeState } from "./pipe.ts";

const OPEN: PipeState = { type: "open" };

/** The state of one pipe, and the promise of its end. */
export class PipeLife {
  #state: PipeState = OPEN;
  /** Made when somebody asks for it, as thousands of pipes are never asked. */
  #closed: PromiseWithResolvers<void> | undefined;

  /** What the pipe is now. */
  get state(): PipeState {
    return this.#state;
  }

  /** Whether it has ended, whichever way. */
  get over(): boolean {
    return this.#state.type === "closed" || this.#state.type === "failed";
  }

  /** See {@linkcode PipeBase.closed}. */
  get closed(): Promise<void> {
    if (!this.#closed) {
      this.#closed = Promise.withResolvers();
      // Whoever does not wait for it does not have to handle it.
      this.#closed.promise.catch(() => {});
      this.settle();
    }
    return this.#closed.promise;
  }

  /** Makes it open again, without a state to describe, or waiting; once it has ended nothing changes it. */
  change(state: PipeState = OPEN): void {
    if (!this.over) this.#state = state;
  }

  /** What those are told who come late: how it ended, or that the other end did. */
  past(type: PipeEventType, remoteEnded: boolean): PipeEvent | undefined {
    if (type === "end" && remoteEnded) return { type: "end" };
    if (type !== "error" || this.#state.type !== "failed") return undefined;
    return { type: "error", error: this.#state.error, fatal: true };
  }

  /** Settles the promise of the end, if the pipe has ended. */
  settle(): void {
    if (this.#state.type === "failed") this.#closed?.reject(this.#state.error);
    else if (this.over) this.#closed?.resolve();
  }
}
