/** The readiness gate: addresses are right again long before the network carries anything. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import { logUncaught } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { limited } from "./_limited.ts";
import { isUnsupported } from "./_need_runtime.ts";
import { orAbort } from "./_or_abort.ts";
import { gatewayStep } from "./_ready_gateway.ts";
import { NEAR, onlineStep } from "./_ready_online.ts";
import { check } from "./_ready_options.ts";
import { portalStep } from "./_ready_portal.ts";
import { rememberResolver, resolverStep } from "./_ready_resolver.ts";
import { runStep, type StepContext, type StepResult } from "./_ready_step.ts";
import { type Reached, targetStep } from "./_ready_target.ts";
import { type ReadyTarget, type ReadyTools, systemTools } from "./_ready_tools.ts";

export type { ReadyTarget, ReadyToolOptions, ReadyTools } from "./_ready_tools.ts";

/** What to fetch to find out about a captive portal. */
export interface PortalProbe {
  /** A URL whose answer is known; plain HTTP, for a portal cannot answer for others by HTTPS. */
  readonly url: string | URL;
  /**
   * The status it has.
   *
   * @default {204, or 200 where a body is expected}
   */
  readonly status?: number;
  /**
   * The body it has, white space around it aside.
   *
   * @default {undefined} Whatever it is.
   */
  readonly body?: string;
}

/** What {@linkcode ready} and {@linkcode readyGate} take. */
export interface ReadyOptions {
  /**
   * The family that is needed.
   *
   * @default {undefined} Any will do.
   */
  readonly family?: 4 | 6;
  /**
   * What is to be reached in the end: `HOST:PORT` (an IPv6 address in brackets), or both apart. It has to accept a TCP
   * connection, unless there is a `probe`.
   *
   * @default {undefined} The network itself is enough.
   */
  readonly target?: string | ReadyTarget;
  /**
   * What shows that the target is ready, in place of a TCP connection; it throws as long as it is not.
   *
   * @default {undefined} A TCP connection to `target`.
   */
  readonly probe?: (context: { readonly signal: AbortSignal }) => Promise<void>;
  /**
   * What to fetch to find out about a captive portal; a URL alone stands for status 204. Redirects are not followed.
   *
   * @default {undefined} Nobody asks.
   */
  readonly portal?: string | URL | PortalProbe;
  /**
   * How many milliseconds the network itself may hold things up; after that it is tried all the same.
   *
   * @default {3000}
   */
  readonly limit?: number;
  /**
   * How many milliseconds everything may take.
   *
   * @default {Infinity}
   */
  readonly timeout?: number;
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /** How the outside is reached, for tests; what is missing is the system's. */
  readonly tools?: Partial<ReadyTools>;
}

/** One step of a {@linkcode ReadyReport}. */
export interface ReadyStep {
  /** What was looked at. */
  readonly name: "online" | "gateway" | "resolver" | "portal" | "target";
  /** How it ended: well, not looked at, out of time, or badly. */
  readonly outcome: "ok" | "skipped" | "limit" | "failed";
  /** How many milliseconds it took. */
  readonly took: number;
  /** What was found, or waited for in vain, for people. */
  readonly detail: string;
}

/** What came of waiting. */
export interface ReadyReport {
  /** Whether the target answered; without a target, whether every step went well or was not looked at. */
  readonly ready: boolean;
  /** Whether the network's own gate was passed, or ended by its limit. */
  readonly gated: "passed" | "limit";
  /** The steps, in order. */
  readonly steps: readonly ReadyStep[];
  /** How many milliseconds all took. */
  readonly took: number;
  /** How often the target was tried. */
  readonly attempts: number;
  /** The address of the target that answered, or `null`. */
  readonly address: string | null;
}

/** What {@linkcode readyGate} takes. */
export interface ReadyGateOptions extends Omit<ReadyOptions, "signal"> {
  /** Told of each pass. */
  readonly onReport?: (report: ReadyReport) => void;
}

/** The most that the resolver of an old network holds things up, in milliseconds. */
const RESOLVER_LIMIT = 2000;

/**
 * Waits until the network carries something, and then until a target answers.
 *
 * After a change of network the addresses are right at once, and yet the first seconds fail: duplicate address detection
 * is not over, nobody has asked for the gateway's hardware address, the resolver is still the old network's. The steps:
 *
 * 1. `online`: a usable address, a default route, carrier.
 * 2. `gateway`: its hardware address is known. To make the system ask for it, a datagram is sent to its discard port
 *    (`--allow-net=GATEWAY:9,0.0.0.0:0,[::]:0`), or else a knock at the same TCP port (`--allow-net=GATEWAY:9`).
 * 3. `resolver`, unless the target is an address: its name is found, or a name server of the network answers (`--allow-net=SERVER:53`), or is at
 *    least another one than in the network before; 2 s at most.
 * 4. `portal`: the probe brings what is expected, where one is given.
 * 5. `target`: it accepts a TCP connection (`--allow-net=HOST:PORT`), or passes the caller's probe; tried until it does,
 *    at once when the network changes.
 *
 * What is out of sight or not allowed is skipped, and the report says so. The first four hold things up no longer than
 * `limit` together. A target on this machine or its own links needs none of them. A pending wait keeps the process alive.
 *
 * @param network The network; without one only the target is looked at.
 * @param options What is to be reached, and for how long to wait.
 * @returns What was found. That time was up is no error: `ready` is `false` then.
 * @throws {PermissionError} When the runtime forbids to connect to the target.
 * @throws {HoldfastError} `unsupported`, for a target without `probe` in a browser.
 * @throws {TypeError} When an option is not what it should be.
 * @throws The signal's reason.
 *
 * @example
 * ```ts
 * import { ready } from "@holdfast/net/recover";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const { port } = listener.addr as Deno.NetAddr;
 * const report = await ready(undefined, { target: `127.0.0.1:${port}`, timeout: 5000 });
 * assertEquals([report.ready, report.address], [true, `127.0.0.1:${port}`]);
 * ```
 */
export async function ready(
  network: NetworkView | undefined,
  options: ReadyOptions = {},
): Promise<ReadyReport> {
  const { limit, timeout, target, portal } = check(network, options);
  const { family, signal, probe, clock = systemClock } = options;
  signal?.throwIfAborted();
  const began = clock.monotonic();
  const tools = { ...systemTools, ...options.tools };
  const steps: ReadyStep[] = [];
  let gated: ReadyReport["gated"] = "passed";
  let reached: Reached = { attempts: 0, address: null };
  using all = limited(timeout, signal, clock);
  if (network) {
    using gate = limited(limit, all.signal, clock);
    const base = { network, family, target, tools, clock, signal: gate.signal };
    for (const [name, most, run] of ownSteps(portal)) {
      steps.push(await runStep(name, most, base, run));
      signal?.throwIfAborted();
      if (name === "online" && steps[0]?.detail === NEAR) break;
    }
    if (steps.some(({ outcome }) => outcome === "limit")) gated = "limit";
    else rememberResolver(network);
  }
  if (target || probe) {
    const connect = async (signal: AbortSignal): Promise<string | null> => {
      if (!probe) return await tools.connect(target as ReadyTarget, { family, signal });
      await probe({ signal });
      return null;
    };
    const [step, told] = await targetStep(network, clock, all, connect);
    signal?.throwIfAborted();
    steps.push(step);
    reached = told;
  }
  // Who has reached the target need not care what the network's own gate thinks of it.
  const telling = target || probe ? steps.slice(-1) : steps;
  return {
    ready: telling.every(({ outcome }) => outcome === "ok" || outcome === "skipped"),
    gated,
    steps,
    took: clock.monotonic() - began,
    ...reached,
  };
}

/**
 * Makes the gate that policies take: a function that waits until the network is ready, and never longer than `limit` (and
 * `timeout`, with a `target`). It resolves then as well, for a gate may be wrong; only the signal makes it reject, and a target that
 * the runtime forbids.
 *
 * Whoever comes while others wait shares their pass.
 *
 * @param network The network.
 * @param options As for {@linkcode ready}, and who is told of each pass.
 * @returns The gate.
 *
 * @example
 * ```ts
 * import { readyGate } from "@holdfast/net/recover";
 * import { fakeNetwork } from "@holdfast/net/testing";
 * import { watchNetwork } from "@holdfast/net/watch";
 * import { assertEquals } from "@std/assert";
 *
 * const network = fakeNetwork();
 * await using watcher = await watchNetwork({ source: network.source });
 * const told: string[] = [];
 * const gate = readyGate(watcher, { limit: 1, onReport: ({ gated }) => told.push(gated) });
 * await gate(new AbortController().signal);
 * assertEquals(told, ["limit"]);
 * ```
 */
export function readyGate(
  network: NetworkView,
  options: ReadyGateOptions = {},
): (signal: AbortSignal) => Promise<void> {
  check(network, options);
  const { onReport, ...rest } = options;
  rememberResolver(network);
  let running: Pass | undefined;
  const begin = (): Pass => {
    const stop = new AbortController();
    const report = ready(network, { ...rest, signal: stop.signal });
    const pass: Pass = { report, stop, waiting: 0 };
    report.then(onReport).catch((error) => {
      if (!stop.signal.aborted && !(error instanceof PermissionError) && !isUnsupported(error)) {
        logUncaught(undefined, "Uncaught error in a handler of a readiness gate", error);
      }
    }).finally(() => {
      if (running === pass) running = undefined;
    });
    return pass;
  };
  return async (signal) => {
    signal.throwIfAborted();
    const pass = running ??= begin();
    pass.waiting++;
    try {
      await orAbort(pass.report, signal);
    } finally {
      if (--pass.waiting === 0) {
        if (running === pass) running = undefined;
        pass.stop.abort(signal.reason);
      }
    }
  };
}

/** One pass of a gate, for all who wait for it. */
interface Pass {
  readonly report: Promise<ReadyReport>;
  /** Ends it, once nobody waits any more. */
  readonly stop: AbortController;
  waiting: number;
}

type OwnStep = readonly [
  name: ReadyStep["name"],
  most: number,
  run: (context: StepContext) => Promise<StepResult>,
];

/** The steps of the network's own gate. */
function ownSteps(portal: PortalProbe | undefined): readonly OwnStep[] {
  const steps: OwnStep[] = [
    ["online", Infinity, onlineStep],
    ["gateway", Infinity, gatewayStep],
    ["resolver", RESOLVER_LIMIT, resolverStep],
  ];
  if (portal) steps.push(["portal", Infinity, (context) => portalStep(context, portal)]);
  return steps;
}
