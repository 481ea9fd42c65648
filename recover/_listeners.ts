/** Who listens to a policy: costs nothing while nothing happens. */

import type { EventOf, Tagged } from "../internal/events.ts";
import { logUncaught } from "../internal/log.ts";

/** The handlers of one policy. One that throws, or whose promise rejects, harms nobody else and is reported. */
export class Listeners<E extends Tagged> {
  readonly #entries = new Set<(event: E) => unknown>();

  /** Calls a handler for each event of one type, until the registration is disposed. */
  on<T extends E["type"]>(type: T, handler: (event: EventOf<E, T>) => void): Disposable {
    const entry = (event: E): unknown => event.type === type ? handler(event as EventOf<E, T>) : undefined;
    this.#entries.add(entry);
    return { [Symbol.dispose]: () => void this.#entries.delete(entry) };
  }

  /** Tells everybody; the event is made only where somebody listens. */
  tell(make: () => E): void {
    if (this.#entries.size === 0) return;
    const event = make();
    const report = (error: unknown): void =>
      logUncaught(undefined, `Uncaught error in a handler of "${event.type}"`, error);
    for (const entry of [...this.#entries]) {
      try {
        const result = entry(event);
        if (result instanceof Promise) result.catch(report);
      } catch (error) {
        report(error);
      }
    }
  }
}
