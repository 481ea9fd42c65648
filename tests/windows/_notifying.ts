/** Windows with notifications that work, on top of one where they are stubs: for scripts that run under Wine. */

import { acquireWindows, type Windows } from "../../internal/ffi/windows.ts";

/** void callback(PVOID context, row, MIB_NOTIFICATION_TYPE type) */
const CALLBACK = { parameters: ["usize", "usize", "i32"], result: "void" } as const;

/** A Windows whose notifications come when the script says so. */
export interface Notifying {
  /** Gives a hold on the libraries, as `acquireWindows()` does. */
  acquire(): Windows;
  /** Calls back as Windows does on a change: what was registered, with its context, a row and a type. */
  fire(): void;
  /** How many registrations are there. */
  readonly registered: number;
}

/** Takes the registrations itself; all else is the system's own. */
export function notifying(): Notifying {
  const registered = new Map<bigint, { readonly callback: bigint; readonly context: bigint }>();
  let next = 1n;
  const notify = (
    _family: number,
    callback: bigint,
    context: bigint,
    _initial: number,
    handle: Uint8Array<ArrayBuffer>,
  ): number => {
    new DataView(handle.buffer).setBigUint64(0, next, true);
    registered.set(next++, { callback, context });
    return 0;
  };
  const cancel = (handle: bigint): Promise<number> => Promise.resolve(registered.delete(handle) ? 0 : 87);
  return {
    acquire() {
      const windows = acquireWindows();
      return {
        call: {
          ...windows.call,
          NotifyIpInterfaceChange: notify,
          NotifyUnicastIpAddressChange: notify,
          NotifyRouteChange2: notify,
          CancelMibChangeNotify2: cancel,
        },
        [Symbol.dispose]: () => windows[Symbol.dispose](),
      };
    },
    fire() {
      for (const { callback, context } of registered.values()) {
        const pointer = Deno.UnsafePointer.create<typeof CALLBACK>(callback);
        if (!pointer) throw new Error("Cannot call back: no address was registered");
        new Deno.UnsafeFnPointer(pointer, CALLBACK).call(context, 0n, 0);
      }
    },
    get registered() {
      return registered.size;
    },
  };
}

/** A source's ears that count. */
export class Ears {
  /** How many hints there were. */
  hints = 0;
  /** What went wrong. */
  readonly failures: string[] = [];
  #heard = Promise.withResolvers<void>();

  /** Something may have changed. */
  hint(): void {
    this.hints++;
    this.#heard.resolve();
    this.#heard = Promise.withResolvers();
  }

  /** Never said here. */
  overflow(): void {}

  /** It is over. */
  failed(error: unknown): void {
    this.failures.push(String(error));
    this.#heard.resolve();
  }

  /** Waits until there were as many hints, or one failure; a timer keeps the script alive meanwhile. */
  async heard(hints: number): Promise<void> {
    const alive = setInterval(() => {}, 1000);
    while (this.hints < hints && this.failures.length === 0) await this.#heard.promise;
    clearInterval(alive);
  }
}
