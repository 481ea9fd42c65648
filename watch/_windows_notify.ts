/**
 * Change notifications of Windows without a call back into JavaScript: what Windows is told to call is SetEvent itself,
 * with an event as its argument, and one wait covers that event, one per registry key, and one to stop by.
 *
 * Bursts coalesce in the events, nothing runs on a foreign thread, and cancelling cannot wait for JavaScript.
 */

import type { Clock, Timer } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { addressIn, narrowString, wideString, type Windows, windowsError } from "../internal/ffi/windows.ts";

/** What is told. */
export interface NotifyEvents {
  /** Something may have changed. */
  changed(): void;
  /** There will be no more notifications. */
  failed(error: unknown): void;
}

/** What a notifier is made of. */
export interface NotifyOptions {
  /** Source of time, for the wait by a timer. */
  readonly clock: Clock;
  /**
   * Whether to wait in a call that blocks a thread of the runtime's pool, which takes a function of the runtime's
   * insides so that the pending call alone does not keep the process alive. Without it the events are looked at every
   * 250 ms.
   *
   * @default {true} Where the runtime has that function, and it has shown to work.
   */
  readonly internals?: boolean | undefined;
}

/** The registry keys below which Windows keeps name servers: setting them by hand raises no notification (c-ares issue 761). */
const DNS_KEYS = ["Tcpip", "Tcpip6"].map((service) =>
  `SYSTEM\\CurrentControlSet\\Services\\${service}\\Parameters\\Interfaces`
);
const HKEY_LOCAL_MACHINE = 0xffff_ffff_8000_0002n;
const KEY_NOTIFY = 0x10;
/** REG_NOTIFY_CHANGE_NAME, LAST_SET, and THREAD_AGNOSTIC: else the event fires when the thread that asked ends. */
const REG_FILTER = 0x1 | 0x4 | 0x1000_0000;

const INFINITE = 0xffff_ffff;
const WAIT_TIMEOUT = 258;
const WAIT_FAILED = 0xffff_ffff;

/** How often the events are looked at where no call waits for them, in milliseconds. */
export const LOOK_INTERVAL = 250;

/** The place of the stop event, of that for changes, and of the first for a key, among the handles waited for. */
const STOP = 0;
const CHANGE = 1;
const KEYS = 2;

/**
 * Starts notifications.
 *
 * @param events What is told.
 * @param options The clock, and how to wait.
 * @param windows The libraries; they are closed with it.
 * @throws {HoldfastError} `unsupported` where notifications are stubs, as under Wine 8; `system` where Windows refuses.
 */
export async function openNotifier(
  events: NotifyEvents,
  options: NotifyOptions,
  windows: Windows,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  stack.use(windows);
  const { call } = windows;
  const event = (manual: boolean): bigint => {
    const handle = call.CreateEventW(0n, manual ? 1 : 0, 0, 0n);
    if (handle === 0n) {
      throw new HoldfastError("Cannot create event: Windows refuses", {
        code: "system",
        operation: "create event",
      });
    }
    return stack.adopt(handle, (handle) => void call.CloseHandle(handle));
  };
  const handles = [event(true), event(false)];
  const keys: RegistryKey[] = [];
  for (const path of DNS_KEYS) {
    const changed = event(false);
    const key = openKey(windows, path, changed);
    // Without IPv6 there is no such key, and nothing in it that could change.
    if (!key) continue;
    stack.defer(() => void call.RegCloseKey(key.handle));
    keys.push(key);
    handles.push(changed);
  }
  registerAll(windows, handles[CHANGE] ?? 0n, stack);
  const wait = new Wait(windows, handles, keys, events, options);
  stack.defer(() => wait.stop());
  wait.start();
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Has SetEvent called for every change of interfaces, addresses and routes. */
function registerAll({ call }: Windows, event: bigint, stack: AsyncDisposableStack): void {
  const operation = "be notified of network changes";
  const setEvent = call.GetProcAddress(
    call.GetModuleHandleA(narrowString("kernel32.dll")),
    narrowString("SetEvent"),
  );
  if (setEvent === 0n) throw unsupported(operation, "SetEvent was not found");
  const ways = ["NotifyIpInterfaceChange", "NotifyUnicastIpAddressChange", "NotifyRouteChange2"] as const;
  for (const way of ways) {
    const out = new Uint8Array(8);
    const code = call[way](0, setEvent, event, 0, out);
    if (code !== 0) throw windowsError(code, `${operation} (${way})`);
    const handle = addressIn(out);
    // Success without a handle is what Wine's stubs answer: nobody would ever call.
    if (handle === 0n) throw unsupported(operation, `${way} does nothing here`);
    // On a thread of the pool, as it waits for calls that are under way.
    stack.defer(async () => void await call.CancelMibChangeNotify2(handle));
  }
}

function unsupported(operation: string, why: string): HoldfastError {
  return new HoldfastError(`Cannot ${operation}: ${why}`, {
    code: "unsupported",
    operation,
    hint: 'Wine has no such notifications; the backend "poll" reads the same tables',
  });
}

/** What a promise that has settled wins against. */
const NOT_YET = Promise.resolve(-1);

interface RegistryKey {
  readonly handle: bigint;
  /** Asks for the next notification; each is for one change. */
  arm(): void;
}

function openKey({ call }: Windows, path: string, event: bigint): RegistryKey | null {
  const out = new Uint8Array(8);
  if (call.RegOpenKeyExW(HKEY_LOCAL_MACHINE, wideString(path), 0, KEY_NOTIFY, out) !== 0) return null;
  const handle = addressIn(out);
  const arm = (): void => {
    const code = call.RegNotifyChangeKeyValue(handle, 1, REG_FILTER, event, 1);
    if (code !== 0) throw windowsError(code, "be notified of changed name servers");
  };
  try {
    arm();
  } catch (error) {
    call.RegCloseKey(handle);
    throw error;
  }
  return { handle, arm };
}

/** Waits for the events, over and over, until it is stopped. */
class Wait {
  readonly #windows: Windows;
  readonly #count: number;
  readonly #stopEvent: bigint;
  readonly #handles: Uint8Array<ArrayBuffer>;
  readonly #keys: readonly RegistryKey[];
  readonly #events: NotifyEvents;
  readonly #options: NotifyOptions;
  #stopped = false;
  #timer: Timer | undefined;
  #pending: Promise<void> | undefined;

  constructor(
    windows: Windows,
    handles: readonly bigint[],
    keys: readonly RegistryKey[],
    events: NotifyEvents,
    options: NotifyOptions,
  ) {
    this.#windows = windows;
    this.#count = handles.length;
    this.#stopEvent = handles[STOP] ?? 0n;
    this.#handles = new Uint8Array(BigUint64Array.from(handles).buffer);
    this.#keys = keys;
    this.#events = events;
    this.#options = options;
  }

  start(): void {
    const unref = this.#options.internals === false ? null : unrefOf();
    if (unref) this.#pending = this.#block(unref);
    else this.#lookLater();
  }

  /** Ends the wait; only then may handles be closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#windows.call.SetEvent(this.#stopEvent);
    await this.#pending;
  }

  /** One call that blocks at a time, without a limit; the stop event ends it. */
  async #block(unref: (promise: Promise<unknown>) => boolean): Promise<void> {
    while (!this.#stopped) {
      const waiting = this.#windows.call.waitBlocked(this.#count, this.#handles, 0, INFINITE);
      // Without its mark it has ended at once, or the runtime's insides are not what they were: then the call that is
      // pending is woken, and there is no other.
      if (!unref(waiting) && await Promise.race([waiting, NOT_YET]) === await NOT_YET) {
        this.#windows.call.SetEvent(this.#stopEvent);
        await waiting;
        if (!this.#stopped) this.#lookLater();
        return;
      }
      if (!this.#take(await waiting)) return;
    }
  }

  #lookLater(): void {
    this.#timer = this.#options.clock.after(LOOK_INTERVAL, () => {
      // The stop event, first among the handles, may stay set by a wait that could not be unref'ed.
      const handles = this.#handles.subarray(8);
      while (true) {
        const result = this.#windows.call.waitNow(this.#count - 1, handles, 0, 0);
        if (result === WAIT_TIMEOUT) break;
        if (!this.#take(result === WAIT_FAILED ? result : result + 1)) return;
      }
      this.#lookLater();
    });
  }

  /** Acts on the result of a wait; `false` when there is nothing more to wait for. */
  #take(result: number): boolean {
    if (this.#stopped || result === STOP) return false;
    try {
      if (result >= this.#count) {
        throw new HoldfastError(`Cannot wait for network changes: the wait ended with ${result}`, {
          code: "system",
          operation: "wait for network changes",
        });
      }
      if (result >= KEYS) this.#keys[result - KEYS]?.arm();
    } catch (error) {
      this.#events.failed(error);
      return false;
    }
    this.#events.changed();
    return true;
  }
}

interface Internals {
  readonly core?: { unrefOpPromise?(promise: Promise<unknown>): void };
}

/**
 * The runtime's way to let go of a pending call, which is not public: a watcher alone must not keep the process alive,
 * and a call without blocking offers nothing else (Deno 2.9). Where it is not there the answer is `null`, and where it
 * cannot have worked on a promise it says `false`.
 */
function unrefOf(): ((promise: Promise<unknown>) => boolean) | null {
  const { internal } = Deno as unknown as { readonly internal?: symbol };
  if (typeof internal !== "symbol") return null;
  const core = (Deno as unknown as Record<symbol, Internals | undefined>)[internal]?.core;
  if (typeof core?.unrefOpPromise !== "function") return null;
  return (promise) => {
    // What is let go of is found by this mark; on a promise without it nothing would happen, and nobody would say so.
    const marked = Symbol.for("Deno.core.internalPromiseId") in promise;
    if (marked) core.unrefOpPromise?.(promise);
    return marked;
  };
}
