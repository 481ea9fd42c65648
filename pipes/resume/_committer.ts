/** Lets a client forget its bytes only when the application has made safe what it has made of them. */

import type { SessionCore } from "./_core.ts";

/** What a {@linkcode Committer} needs to know. */
export interface CommitterOptions {
  /** The session at heart. */
  readonly core: SessionCore;
  /** How many bytes the application has got. */
  readonly handed: () => number;
  /** Makes everything before a position safe. */
  readonly commit: (handed: number) => Promise<void>;
  /** Called when that could not be done. */
  readonly failed: (error: unknown) => void;
}

/** Asks the application for one position after the other. */
export class Committer {
  readonly #options: CommitterOptions;
  /** Whether the client waits for an acknowledgement. */
  #owed = false;
  #committing = false;
  #committed: number;

  /** @param options The session, and what to ask. */
  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#committed = options.handed();
    options.core.onCommit = () => {
      this.#owed = true;
      // Whoever reads is told of the bytes first.
      queueMicrotask(() => this.wanted());
    };
  }

  /** The application has got something, or wants more. */
  wanted(): void {
    const { core, handed, commit, failed } = this.#options;
    if (!this.#owed || this.#committing || core.failure) return;
    const position = handed();
    if (position === this.#committed) return this.#acknowledge(position);
    this.#committing = true;
    commit(position).then(() => {
      this.#committing = false;
      this.#committed = position;
      this.#acknowledge(position);
      this.wanted();
    }, failed);
  }

  #acknowledge(position: number): void {
    const { core } = this.#options;
    const isEnd = position === core.end && core.consumed > position;
    core.commit(isEnd ? position + 1 : position);
    this.#owed = core.consumed > position && !isEnd;
  }
}
