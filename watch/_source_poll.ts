/** The last resort: reading every few seconds, with the best reader that the permissions allow. */

import type { Clock, Timer } from "../internal/clock.ts";
import { watchDnsFiles } from "./_dns_files.ts";
import type { Reader } from "./_readers.ts";
import type { ReaderName, Reading, Source, SourceEvents } from "./_reading.ts";

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param clock Source of time.
 * @param interval Milliseconds between two readings.
 * @param reader What it reads with; closed with the source.
 */
export function openPollSource(events: SourceEvents, clock: Clock, interval: number, reader: Reader): Source {
  return new PollSource(events, clock, interval, reader);
}

class PollSource implements Source {
  readonly backend = "poll";
  readonly reader: ReaderName;
  readonly #reader: Reader;
  readonly #dns: Disposable | null;
  readonly #abort = new AbortController();
  #timer: Timer;

  constructor(events: SourceEvents, clock: Clock, interval: number, reader: Reader) {
    this.#reader = reader;
    this.reader = reader.name;
    this.#dns = watchDnsFiles(() => events.hint());
    const tick = (): void => {
      this.#timer = clock.after(interval, tick);
      events.hint();
    };
    this.#timer = clock.after(interval, tick);
  }

  read(): Reading | Promise<Reading> {
    return this.#reader.read(this.#abort.signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#timer.cancel();
    this.#dns?.[Symbol.dispose]();
    this.#reader[Symbol.dispose]();
    return Promise.resolve();
  }
}
