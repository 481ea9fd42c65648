/** When a watcher asks for the public address: after each major change, and slowly by itself. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import { parseServer } from "./_external_servers.ts";
import { askExternal } from "./_external_ask.ts";
import type { ExternalAddressOptions, ExternalFamilyResult } from "./external.ts";
import type { ExternalAddresses, ExternalFamily } from "./state.ts";

/** How a schedule is made. */
export interface ExternalScheduleOptions {
  /** How to ask. */
  readonly options: ExternalAddressOptions;
  /** Gets every answer, also one that changes nothing. */
  readonly onResult: (addresses: ExternalAddresses) => void;
  /** Where trouble is reported. */
  readonly logger?: Logger | undefined;
  /** Source of time. */
  readonly clock?: Clock;
  /** What asks. */
  readonly ask?: typeof askExternal;
  /** Gives 0 to 1, for the jitter. */
  readonly random?: () => number;
}

/** A running schedule. */
export interface ExternalSchedule {
  /** The network has changed: asks at once, but not twice within a second. What is under way is void. */
  refresh(): void;
  /** Ends it; safe twice. */
  close(): Promise<void>;
}

/** The waits after an answer that changes nothing, in milliseconds; the last one repeats. */
const WAITS = [60_000, 300_000, 900_000];
/** The wait after the first failure: right after a change the way out is often not ready. Never less between two asks. */
const SECOND_TRY = 10_000;
/** Changes may come in showers, and servers belong to others. */
const REFRESH_GAP = 1000;

/**
 * Makes a schedule; it asks nobody before the first {@linkcode ExternalSchedule.refresh}, and nothing of it keeps the
 * process alive but the look-up of a name.
 *
 * @param options How to ask, and who gets the answers.
 * @throws {TypeError} When a server cannot be read.
 */
export function createExternalSchedule(options: ExternalScheduleOptions): ExternalSchedule {
  options.options.servers.forEach(parseServer);
  return new Schedule(options);
}

class Schedule implements ExternalSchedule {
  readonly #options: ExternalScheduleOptions;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #flight: { readonly controller: AbortController; readonly landed: Promise<void> } | undefined;
  #askedAt = -Infinity;
  /** How many answers have changed nothing. */
  #unchanged = 0;
  #mayTryAgain = false;
  #known: ExternalAddresses | undefined;
  #closed = false;

  constructor(options: ExternalScheduleOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  refresh(): void {
    this.#flight?.controller.abort();
    this.#unchanged = 0;
    this.#mayTryAgain = true;
    this.#askIn(this.#askedAt + REFRESH_GAP - this.#clock.monotonic());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#flight?.controller.abort();
    await this.#flight?.landed;
  }

  #askIn(milliseconds: number): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    if (milliseconds > 0) this.#timer = this.#clock.after(milliseconds, () => this.#ask());
    else this.#ask();
  }

  #ask(): void {
    this.#askedAt = this.#clock.monotonic();
    const controller = new AbortController();
    this.#flight = { controller, landed: this.#fly(controller.signal) };
  }

  async #fly(signal: AbortSignal): Promise<void> {
    const { options, ask = askExternal, onResult, logger } = this.#options;
    const either = options.signal ? AbortSignal.any([options.signal, signal]) : signal;
    try {
      const answer = await ask({ ...options, signal: either, ref: false, clock: this.#clock });
      if (either.aborted) return;
      const addresses = { v4: plain(answer.v4), v6: plain(answer.v6) };
      this.#askIn(this.#waitAfter(addresses));
      onResult(addresses);
    } catch (error) {
      if (either.aborted) return;
      loggerOr(logger).warn(error instanceof Error ? error.message : String(error));
      // Nothing but a person can mend that, and then the next change will show it.
      if (error instanceof PermissionError) return;
      this.#askIn(this.#waitAfter(NOBODY));
      if (error instanceof HoldfastError) onResult(NOBODY);
    }
  }

  #waitAfter(addresses: ExternalAddresses): number {
    const { random = Math.random } = this.#options;
    const isFailure = addresses.v4 === null && addresses.v6 === null;
    const isSame = this.#known?.v4?.address === addresses.v4?.address &&
      this.#known?.v6?.address === addresses.v6?.address;
    if (!isSame) this.#unchanged = 0;
    this.#known = addresses;
    const isSecondTry = isFailure && this.#mayTryAgain;
    this.#mayTryAgain = false;
    const wait = isSecondTry
      ? SECOND_TRY
      : WAITS[Math.min(this.#unchanged++, WAITS.length - 1)] ?? SECOND_TRY;
    // Up to 10 % either way, so that many machines do not ask in step; the second try only later.
    return wait * (isSecondTry ? 1 + 0.1 * random() : 0.9 + 0.2 * random());
  }
}

const NOBODY: ExternalAddresses = { v4: null, v6: null };

/** Only what belongs to the network's state: a changed port is no news. */
function plain(result: ExternalFamilyResult | null): ExternalFamily | null {
  return result && { address: result.address, agreed: result.agreed, answered: result.answered };
}
