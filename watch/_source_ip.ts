/** The tool source on Linux: `ip monitor` for hints, `ip -json` for readings. */

import { HoldfastError } from "../internal/errors.ts";
import { execLines, type LineProcess } from "../internal/exec.ts";
import type { Clock, Timer } from "../internal/clock.ts";
import { watchDnsFiles } from "./_dns_files.ts";
import { IP_HINT } from "./_read_ip.ts";
import { ipReader } from "./_readers.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";

/** The monitor says nothing when it begins to listen, so what happens in its first moments is looked for. */
const SETTLE = [30, 100, 300, 1000];

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param clock Source of time.
 * @throws {PermissionError} Without `--allow-run=ip`.
 * @throws {ToolMissingError} Where there is no `ip`.
 */
export function openIpMonitorSource(events: SourceEvents, clock: Clock): Source {
  return new IpMonitorSource(events, clock);
}

class IpMonitorSource implements Source {
  readonly backend = "ip-monitor";
  readonly reader = "ip";
  readonly #events: SourceEvents;
  readonly #monitor: LineProcess;
  readonly #dns: Disposable | null;
  readonly #timers: Timer[];
  readonly #abort = new AbortController();
  #gateways: readonly string[] = [];

  constructor(events: SourceEvents, clock: Clock) {
    this.#events = events;
    const args = ["-oneline", "monitor", "label", "link", "address", "route", "rule", "neigh"];
    this.#monitor = execLines(
      "ip",
      { args, operation: "watch the network by ip monitor", hint: IP_HINT },
      (line, stream) => this.#onLine(line, stream),
    );
    const operation = "watch the network by ip monitor";
    const failed = (error: unknown): void => {
      if (!this.#abort.signal.aborted) events.failed(error);
    };
    this.#monitor.ended.then(
      (code) =>
        failed(
          new HoldfastError(`Cannot ${operation}: it ended with code ${code}`, {
            code: "tool-failed",
            operation,
          }),
        ),
      failed,
    );
    this.#dns = watchDnsFiles(() => events.hint());
    this.#timers = SETTLE.map((delay) => clock.after(delay, () => events.hint()));
  }

  async read(): Promise<Reading> {
    const reading = await ipReader().read(this.#abort.signal);
    const { v4, v6 } = reading.defaultRoute;
    this.#gateways = [v4, v6].flatMap((route) =>
      route?.gateway ? [`${route.gateway} dev ${route.interface} `] : []
    );
    return reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    for (const timer of this.#timers) timer.cancel();
    this.#dns?.[Symbol.dispose]();
    await this.#monitor[Symbol.asyncDispose]();
  }

  #onLine(line: string, stream: "stdout" | "stderr"): void {
    if (stream === "stderr") {
      // On overflow the tool says so here, and goes on.
      if (/No buffer space|receive error/i.test(line)) this.#events.overflow(line);
      this.#events.hint();
    } else if (line.startsWith("[NEIGH]")) {
      if (this.#gateways.some((gateway) => line.includes(gateway))) this.#events.hint();
    } else if (!/^\[ROUTE\].*\btable local\b/.test(line)) {
      this.#events.hint();
    }
  }
}
