/** The tool source on macOS: `route -n monitor` for hints, `ifconfig` and its kin for readings. */

import type { Clock, Timer } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { execLines, type LineProcess } from "../internal/exec.ts";
import { watchDnsFiles } from "./_dns_files.ts";
import { readByIfconfig, TOOLS_HINT } from "./_read_ifconfig.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import { isRouteNews } from "./_route_text.ts";

/**
 * When else to look: the monitor says nothing when it begins to listen, and the resolver's configuration, which it does not
 * tell of, follows a change of the network by up to 5 seconds.
 */
const AFTERWARDS = [100, 1000, 5500];

const OPERATION = "watch the network by route monitor";

/** What the source is made of: a test has its own. */
export interface RouteMonitorTools {
  /** Starts `route -n monitor`. */
  monitor(onLine: (line: string, stream: "stdout" | "stderr") => void): LineProcess;
  /** Takes a reading. */
  read(signal: AbortSignal): Promise<Reading>;
  /** Watches the resolver's files, where that is allowed. */
  watchDns(onChange: () => void): Disposable | null;
}

const TOOLS: RouteMonitorTools = {
  monitor: (onLine) =>
    execLines("route", { args: ["-n", "monitor"], operation: OPERATION, hint: TOOLS_HINT }, onLine),
  read: (signal) => readByIfconfig(signal),
  watchDns: watchDnsFiles,
};

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param clock Source of time.
 * @param tools What it is made of.
 * @throws {PermissionError} Without `--allow-run=route`.
 * @throws {ToolMissingError} Where there is no `route`.
 */
export function openRouteMonitorSource(
  events: SourceEvents,
  clock: Clock,
  tools: RouteMonitorTools = TOOLS,
): Source {
  return new RouteMonitorSource(events, clock, tools);
}

class RouteMonitorSource implements Source {
  readonly backend = "route-monitor";
  readonly reader = "ifconfig";
  readonly #events: SourceEvents;
  readonly #clock: Clock;
  readonly #tools: RouteMonitorTools;
  readonly #monitor: LineProcess;
  readonly #dns: Disposable | null;
  readonly #abort = new AbortController();
  #timers: readonly Timer[] = [];

  constructor(events: SourceEvents, clock: Clock, tools: RouteMonitorTools) {
    this.#events = events;
    this.#clock = clock;
    this.#tools = tools;
    this.#monitor = tools.monitor((line) => this.#onLine(line));
    const failed = (error: unknown): void => {
      if (!this.#abort.signal.aborted) events.failed(error);
    };
    this.#monitor.ended.then(
      (code) =>
        failed(
          new HoldfastError(`Cannot ${OPERATION}: it ended with code ${code}`, {
            code: "tool-failed",
            operation: OPERATION,
          }),
        ),
      failed,
    );
    this.#dns = tools.watchDns(() => events.hint());
    this.#lookAgain();
  }

  read(): Promise<Reading> {
    return this.#tools.read(this.#abort.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#cancel();
    this.#dns?.[Symbol.dispose]();
    await this.#monitor[Symbol.asyncDispose]();
  }

  #onLine(line: string): void {
    if (!isRouteNews(line)) return;
    this.#events.hint();
    this.#lookAgain();
  }

  #lookAgain(): void {
    this.#cancel();
    this.#timers = AFTERWARDS.map((delay) => this.#clock.after(delay, () => this.#events.hint()));
  }

  #cancel(): void {
    for (const timer of this.#timers) timer.cancel();
  }
}
