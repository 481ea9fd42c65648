/** Which sources this system has, best first: the only place that asks which system it is. */

import type { Clock } from "../internal/clock.ts";
import { HoldfastError, PermissionError, ToolMissingError } from "../internal/errors.ts";
import { libcNeed, LIBSYSTEM } from "../internal/ffi/libc.ts";
import { windowsNeeds } from "../internal/ffi/windows_paths.ts";
import { flagsOf, type Need, wouldPrompt } from "../internal/permissions.ts";
import type { BackendName } from "./events.ts";
import { ipReader, ladderReader, type Reader } from "./_readers.ts";
import type { Source, SourceEvents } from "./_reading.ts";
import { openPollSource } from "./_source_poll.ts";

/** What opening a source takes. */
export interface OpenContext {
  /** Source of time. */
  readonly clock: Clock;
  /** Milliseconds between two readings of the polling source. */
  readonly pollInterval: number;
}

/** One way to watch. */
export interface Rung {
  /** Its name. */
  readonly backend: BackendName;
  /** What it needs from the runtime. */
  readonly needs: readonly Need[];
  /** Opens it. */
  open(events: SourceEvents, context: OpenContext): Source | Promise<Source>;
  /** Opens its reader alone. */
  reader(): Reader | Promise<Reader>;
}

const SYS: Need = { name: "sys", kind: "networkInterfaces" };

/** What only Windows needs is loaded only there. */
const WINDOWS = (): Rung[] => [
  {
    backend: "iphlpapi",
    needs: windowsNeeds(),
    open: async (events, { clock }) =>
      await (await import("./_source_windows.ts")).openWindowsSource(events, clock),
    reader: async () => (await import("./_read_windows.ts")).windowsReader(),
  },
  {
    backend: "powershell",
    needs: [{ name: "run", command: "powershell.exe" }],
    open: async (events, { clock }) =>
      (await import("./_source_powershell.ts")).openPowershellSource(events, clock),
    reader: async () => (await import("./_source_powershell.ts")).powershellReader(),
  },
];

/** What only macOS needs is loaded only there. */
const DARWIN = (): Rung[] => [
  {
    backend: "routing-socket",
    needs: [{ name: "ffi", path: LIBSYSTEM }],
    open: async (events) => (await import("./_source_routing_socket.ts")).openRoutingSocketSource(events),
    reader: async () => (await import("./_read_sysctl.ts")).sysctlReader(),
  },
  {
    backend: "route-monitor",
    needs: ["route", "ifconfig", "netstat", "scutil"].map((command) => ({ name: "run", command })),
    open: async (events, { clock }) =>
      (await import("./_source_route_monitor.ts")).openRouteMonitorSource(events, clock),
    reader: async () => (await import("./_read_ifconfig.ts")).ifconfigReader(),
  },
];

/** The ways to watch on this system, best first. */
export function rungs(): readonly Rung[] {
  const { os } = Deno.build;
  const native: Rung[] = os === "windows" ? WINDOWS() : os === "darwin" ? DARWIN() : os === "linux"
    ? [
      {
        backend: "netlink",
        needs: [libcNeed()],
        open: async (events) => (await import("./_source_netlink.ts")).openNetlinkSource(events),
        reader: async () => (await import("./_reader_netlink.ts")).netlinkReader(),
      },
      {
        backend: "ip-monitor",
        needs: [{ name: "run", command: "ip" }],
        open: async (events, { clock }) =>
          (await import("./_source_ip.ts")).openIpMonitorSource(events, clock),
        reader: ipReader,
      },
    ]
    : [];
  const readers = native.map(({ needs, reader }) => ({ needs, open: reader }));
  const poll: Rung = {
    backend: "poll",
    needs: [SYS],
    open: async (events, { clock, pollInterval }) =>
      openPollSource(events, clock, pollInterval, await ladderReader(readers)),
    reader: () => ladderReader(readers),
  };
  return [...native, poll];
}

/** Why a way to watch was not taken. */
export interface PassedOver {
  /** The backend. */
  readonly backend: BackendName;
  /** Why, for people. */
  readonly reason: string;
  /** The flags that are missing, where that is why. */
  readonly flags?: readonly string[];
  /** What can be done about it. */
  readonly hint?: string;
}

/** Makes the entry for a backend that failed to open. */
export function passedOver(backend: BackendName, error: unknown): PassedOver {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof PermissionError) return { backend, reason, flags: error.flags };
  if (error instanceof HoldfastError && error.hint !== undefined) {
    return { backend, reason, hint: error.hint };
  }
  return { backend, reason };
}

/** The entry for a backend that was not tried because a person would have been asked. */
export function notAsked({ backend, needs }: Rung): PassedOver {
  const flags = flagsOf(needs);
  return { backend, reason: `not tried: the runtime would ask for ${flags.join(" ")}`, flags };
}

/** What opening gave: the first that worked, and those passed over before it. */
export interface Opened<T> {
  /** What was opened. */
  readonly value: T;
  /** Its place in the list; 0 is the best. */
  readonly rank: number;
  /** Those before it. */
  readonly passed: readonly PassedOver[];
}

/**
 * Opens the first way that works.
 *
 * @param wanted `"auto"`, or the name of one, which is then tried whatever the permissions say.
 * @param open Opens one.
 * @param all The ways to watch, best first.
 * @throws {TypeError} When this system has no backend of that name.
 * @throws {PermissionError} When permissions were all that was missing.
 * @throws {HoldfastError} The named backend's own failure, or `unsupported` when none works.
 */
export async function openFirst<T>(
  wanted: BackendName | "auto",
  open: (rung: Rung) => T | Promise<T>,
  all: readonly Rung[] = rungs(),
): Promise<Opened<T>> {
  if (wanted !== "auto") {
    const rung = all.find(({ backend }) => backend === wanted);
    if (rung) return { value: await open(rung), rank: 0, passed: [] };
    const known = all.map(({ backend }) => `"${backend}"`).join(", ");
    throw new TypeError(
      `Cannot watch the network: backend must be "auto", ${known} on this system, got "${wanted}"`,
    );
  }
  const passed: PassedOver[] = [];
  const errors: unknown[] = [];
  for (const [rank, rung] of all.entries()) {
    if (wouldPrompt(rung.needs)) {
      passed.push(notAsked(rung));
      continue;
    }
    try {
      return { value: await open(rung), rank, passed };
    } catch (error) {
      // What a sandbox or a missing tool causes is a HoldfastError; anything else is a defect and must be seen.
      if (!(error instanceof HoldfastError)) throw error;
      errors.push(error);
      passed.push(passedOver(rung.backend, error));
    }
  }
  throw nothingWorks(passed, errors);
}

function nothingWorks(passed: readonly PassedOver[], errors: readonly unknown[]): HoldfastError {
  const operation = "watch the network";
  const cause = new AggregateError(
    errors,
    passed.map(({ backend, reason }) => `${backend}: ${reason}`).join("; "),
  );
  const [best, ...others] = passed.filter(({ flags }) => flags);
  if (best?.flags && errors.every((e) => e instanceof PermissionError || e instanceof ToolMissingError)) {
    const alternatives = others.map(({ flags = [] }) => flags.join(" ")).join(" or ");
    return new PermissionError(
      operation,
      best.flags,
      cause,
      alternatives === "" ? undefined : `Or, seeing less or later: ${alternatives}`,
    );
  }
  return new HoldfastError(`Cannot ${operation}: no backend works here (${cause.message})`, {
    code: "unsupported",
    operation,
    cause,
  });
}
