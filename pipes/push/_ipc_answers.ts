/** Who has taken a socket that went by Node's channel, and who has not. */

import type { Clock } from "../../internal/clock.ts";
import type { AdoptedKind } from "./_adopt.ts";
import type { IpcEnd } from "./ipc.ts";
import { PushError } from "./push_error.ts";

/** What goes with a socket; the same as a line of plain mode, and the number by which it is answered. */
export interface Told {
  readonly type: "holdfast.socket";
  readonly id: number;
  readonly kind: AdoptedKind;
  readonly metadata: unknown;
  readonly prefix?: string;
}

/** What is being done, for messages. */
export const IPC_OPERATION = "push a socket by IPC";

/** How long an answer may take. */
interface Limits {
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/**
 * Sends a socket, and resolves when the other process says that it has it.
 *
 * @param end The channel.
 * @param told What goes with the socket.
 * @param what The socket in the form that Node's part sends.
 * @param limits How long that may take.
 */
export async function taken(
  end: IpcEnd,
  told: Told,
  what: unknown,
  { timeout, signal, clock }: Limits,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const aborted = (): void => reject(signal?.reason);
  const timer = clock.after(
    timeout,
    () => reject(failed("timeout", `nobody has taken it within ${timeout} ms`)),
    {
      ref: true,
    },
  );
  signal?.addEventListener("abort", aborted, { once: true });
  let desk = desks.get(end);
  if (!desk) desks.set(end, desk = new Desk(end));
  using _waiting = desk.wait(told.id, (why) => why ? reject(why) : resolve());
  try {
    // Otherwise it would be closed as soon as it has arrived, taken or not.
    end.send?.(told, what, { keepOpen: true }, (error) => error && reject(error));
    await promise;
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", aborted);
  }
}

type Settle = (why: PushError | null) => void;

/** Who waits for answers, by channel. */
const desks = new WeakMap<IpcEnd, Desk>();

/** Listens to a channel once, however many wait; an emitter of Node warns of many listeners. */
class Desk {
  readonly #end: IpcEnd;
  readonly #waiting = new Map<number, Settle>();

  constructor(end: IpcEnd) {
    this.#end = end;
  }

  wait(id: number, settle: Settle): Disposable {
    if (this.#waiting.size === 0) {
      this.#end.on("message", this.#heard);
      this.#end.on("disconnect", this.#gone);
    }
    this.#waiting.set(id, settle);
    return {
      [Symbol.dispose]: () => {
        this.#waiting.delete(id);
        if (this.#waiting.size > 0) return;
        this.#end.off("message", this.#heard);
        this.#end.off("disconnect", this.#gone);
      },
    };
  }

  readonly #heard = (message: unknown): void => {
    const { type, id, reason } = (message ?? {}) as Readonly<Record<string, unknown>>;
    const settle = typeof id === "number" ? this.#waiting.get(id) : undefined;
    if (type === "holdfast.taken") settle?.(null);
    if (type === "holdfast.refused") {
      settle?.(failed("refused", `the other process does not take it, ${String(reason)}`));
    }
  };

  readonly #gone = (): void => {
    for (const settle of this.#waiting.values()) settle(failed("closed", "the other process has gone"));
  };
}

/** Makes the error of a socket that was not taken. */
export function failed(code: "timeout" | "closed" | "refused", why: string): PushError {
  return new PushError(`Cannot ${IPC_OPERATION}: ${why}`, { code, operation: IPC_OPERATION });
}
