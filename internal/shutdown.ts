/** Closing what is open when the process is told to end: `await using` does not run on a signal. */

import { systemClock } from "./clock.ts";

/** What {@linkcode onShutdown} takes besides what to close. */
export interface ShutdownOptions {
  /**
   * The signals to act on.
   *
   * @default {["SIGINT", "SIGTERM"]} On Windows, which has no SIGTERM, `["SIGINT", "SIGBREAK"]`.
   */
  readonly signals?: readonly Deno.Signal[];
  /**
   * How many milliseconds closing may take before the process ends all the same.
   *
   * @default {5000}
   */
  readonly timeout?: number;
}

/**
 * Closes something on SIGINT and SIGTERM, and then ends the process with the exit code that belongs to the signal.
 *
 * All that is registered is closed before the process ends: what came last is begun with first, and nobody waits for
 * another (what must be closed in turn belongs into one `AsyncDisposableStack`). A close that fails is reported on
 * standard error. A second signal ends the process at once. Needs no permission, and does not keep the process alive.
 *
 * @param owner What to close.
 * @param options Signals and limit of time.
 * @returns A registration; disposing it takes the owner, and in the end the handlers, away.
 */
export function onShutdown(owner: AsyncDisposable, options: ShutdownOptions = {}): Disposable {
  const { signals = defaultSignals(), timeout = 5000 } = options;
  const registration = { owner, signals, timeout };
  const dispose = (): void => {
    registrations.delete(registration);
    listen();
  };
  registrations.add(registration);
  try {
    listen();
  } catch (error) {
    dispose();
    throw error;
  }
  return { [Symbol.dispose]: dispose };
}

interface Registration {
  readonly owner: AsyncDisposable;
  readonly signals: readonly Deno.Signal[];
  readonly timeout: number;
}

// One set per process: were each owner to end the process when it is closed itself, the others would be cut off.
const registrations = new Set<Registration>();
const listeners = new Map<Deno.Signal, () => void>();
let closing = false;

/** Listens to just those signals that somebody is registered for. */
function listen(): void {
  const wanted = new Set([...registrations].flatMap(({ signals }) => signals));
  for (const signal of wanted) {
    if (listeners.has(signal)) continue;
    const listener = (): void => void shutDown(signal);
    Deno.addSignalListener(signal, listener);
    listeners.set(signal, listener);
  }
  for (const [signal, listener] of listeners) {
    // While closing the handler stays: without it the second signal would end the process by the system's hand.
    if (wanted.has(signal) || closing) continue;
    Deno.removeSignalListener(signal, listener);
    listeners.delete(signal);
  }
}

async function shutDown(signal: Deno.Signal): Promise<void> {
  if (!closing) {
    closing = true;
    const owners = [...registrations].filter(({ signals }) => signals.includes(signal)).reverse();
    await Promise.all(owners.map((registration) => close(registration, signal)));
  }
  Deno.exit(exitCode(signal));
}

async function close({ owner, timeout }: Registration, signal: Deno.Signal): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = systemClock.after(timeout, () => {
    console.error(`Cannot close everything on ${signal}: not done within ${timeout} ms`);
    resolve();
  }, { ref: true });
  try {
    await Promise.race([late, owner[Symbol.asyncDispose]()]);
  } catch (error) {
    console.error(`Cannot close everything on ${signal}:`, error);
  } finally {
    timer.cancel();
  }
}

/** Windows knows SIGINT and SIGBREAK only. */
function defaultSignals(): Deno.Signal[] {
  return Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
}

/** The numbers that the exit codes of shells are made of (POSIX `kill`; winsignal.h for SIGBREAK). */
const NUMBERS: Partial<Record<Deno.Signal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGTERM: 15,
  SIGBREAK: 21,
};

/** 128 + signal number, as shells count (POSIX sh, "Exit Status for Commands"). */
function exitCode(signal: Deno.Signal): number {
  return 128 + (NUMBERS[signal] ?? 0);
}
