/** Who is told what happens on a pipe. */

import { type Logger, logUncaught } from "../internal/log.ts";
import type { PipeEvent, PipeEventOf, PipeEventType } from "./pipe.ts";

type Handler = (event: PipeEvent) => unknown;

/** The handlers of one pipe, but for those of messages. One that throws harms nobody else. */
export class PipeEvents {
  readonly #logger: Logger | undefined;
  /** Thousands of pipes have no handler. */
  #handlers: Map<string, Set<Handler>> | undefined;

  /** @param logger Where is reported what no handler of `error` is told. */
  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /**
   * Adds a handler.
   *
   * @param type What it is told.
   * @param handler The handler.
   * @param past What has happened already, and it is told at once.
   */
  on<K extends PipeEventType>(
    type: K,
    handler: (event: PipeEventOf<K>) => unknown,
    past: PipeEvent | undefined,
  ): Disposable {
    const entry: Handler = (event) => handler(event as PipeEventOf<K>);
    if (past) {
      this.#call(entry, past);
      // The others are told once.
      if (type !== "up") return { [Symbol.dispose]: () => {} };
    }
    const all = this.#handlers ??= new Map();
    const handlers = all.get(type) ?? new Set();
    all.set(type, handlers.add(entry));
    return { [Symbol.dispose]: () => void handlers.delete(entry) };
  }

  /** Tells everybody. */
  emit(event: PipeEvent): void {
    const handlers = this.#handlers?.get(event.type);
    if (handlers) { for (const handler of [...handlers]) this.#call(handler, event); }
  }

  /** Code of the application threw: that is told, unless it was one that is told of such things. */
  uncaught(type: string, error: unknown): void {
    if (type !== "error" && (this.#handlers?.get("error")?.size ?? 0) > 0) {
      this.emit({ type: "error", error, fatal: false });
    } else logUncaught(this.#logger, `Uncaught error in a handler of "${type}"`, error);
  }

  #call(handler: Handler, event: PipeEvent): void {
    try {
      const result = handler(event);
      if (result instanceof Promise) result.catch((error) => this.uncaught(event.type, error));
    } catch (error) {
      this.uncaught(event.type, error);
    }
  }
}
