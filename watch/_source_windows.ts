/** The native source on Windows: notifications of IP Helper and the registry, readings of IP Helper's tables. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { acquireWindows, type Windows } from "../internal/ffi/windows.ts";
import { readWindows } from "./_read_windows.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import { type NotifyEvents, type NotifyOptions, openNotifier } from "./_windows_notify.ts";

/** What a source can be made with besides a clock. */
export interface WindowsSourceOptions extends Partial<Pick<NotifyOptions, "internals">> {
  /**
   * Gives a hold on the libraries.
   *
   * @default {acquireWindows}
   */
  readonly acquire?: () => Windows;
}

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param clock Source of time.
 * @param options For tests.
 * @throws {PermissionError} Without `--allow-ffi` for the libraries.
 * @throws {HoldfastError} `unsupported` where nothing is ever notified (Wine 8), `system` where Windows refuses.
 */
export async function openWindowsSource(
  events: SourceEvents,
  clock: Clock = systemClock,
  options: WindowsSourceOptions = {},
): Promise<Source> {
  await using stack = new AsyncDisposableStack();
  const { acquire = acquireWindows, internals } = options;
  const windows = stack.use(acquire());
  const told = { changed: () => events.hint(), failed: (error: unknown) => events.failed(error) };
  stack.use(await shareNotifier(told, acquire, { clock, internals }));
  return new WindowsSource(windows, stack.move());
}

class WindowsSource implements Source {
  readonly backend = "iphlpapi";
  readonly reader = "iphlpapi";
  readonly #windows: Windows;
  readonly #owned: AsyncDisposableStack;

  constructor(windows: Windows, owned: AsyncDisposableStack) {
    this.#windows = windows;
    this.#owned = owned;
  }

  read(): Reading {
    return readWindows(this.#windows);
  }

  /** The one clock goes on in sleep, the other does not. */
  sleepClock(): number {
    const time = new BigUint64Array(1);
    this.#windows.call.QueryUnbiasedInterruptTime(new Uint8Array(time.buffer));
    return Number(this.#windows.call.GetTickCount64()) - Number(time[0]) / 10_000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** One notifier for all sources of the same libraries: each has a thread of a small pool waiting for it. */
interface Shared {
  readonly listeners: Set<NotifyEvents>;
  readonly opened: Promise<AsyncDisposable>;
}

const shared = new Map<() => Windows, Shared>();

async function shareNotifier(
  events: NotifyEvents,
  acquire: () => Windows,
  options: NotifyOptions,
): Promise<AsyncDisposable> {
  const used = shared.get(acquire) ?? openShared(acquire, options);
  shared.set(acquire, used);
  used.listeners.add(events);
  const release = async (): Promise<void> => {
    if (!used.listeners.delete(events) || used.listeners.size > 0) return;
    forget(acquire, used);
    await (await used.opened)[Symbol.asyncDispose]();
  };
  try {
    await used.opened;
  } catch (error) {
    forget(acquire, used);
    throw error;
  }
  return { [Symbol.asyncDispose]: release };
}

/** Whoever comes next gets a new one. */
function forget(acquire: () => Windows, used: Shared): void {
  if (shared.get(acquire) === used) shared.delete(acquire);
}

function openShared(acquire: () => Windows, options: NotifyOptions): Shared {
  const listeners = new Set<NotifyEvents>();
  const open = async (): Promise<AsyncDisposable> => await openNotifier(events, options, acquire());
  const events = {
    changed: () => listeners.forEach((one) => one.changed()),
    failed(error: unknown): void {
      forget(acquire, used);
      listeners.forEach((one) => one.failed(error));
    },
  };
  const used: Shared = { listeners, opened: open() };
  return used;
}
