/** The options of the readiness gate, checked. */

import type { NetworkView } from "../internal/network_view.ts";
import { checkNumber, shown } from "./_check.ts";
import { checkFunctions, checkNetwork } from "./_check_shape.ts";
import type { ReadyTarget } from "./_ready_tools.ts";
import type { PortalProbe, ReadyOptions } from "./ready.ts";

/** Options, checked and complete. */
export interface Checked {
  /** Milliseconds of the network's own gate. */
  readonly limit: number;
  /** Milliseconds of everything. */
  readonly timeout: number;
  /** What is to be reached. */
  readonly target: ReadyTarget | undefined;
  /** What is to be fetched. */
  readonly portal: PortalProbe | undefined;
}

const OPERATION = "wait for readiness";

/**
 * Checks options, and the network that stands before them.
 *
 * @throws {TypeError} When one is not what it should be.
 * @throws {RangeError} When a number is out of range.
 */
export function check(network: NetworkView | undefined, options: ReadyOptions): Checked {
  const { family, limit = 3000, timeout = Infinity, target, portal, probe } = options;
  checkNetwork(OPERATION, network);
  checkFunctions(OPERATION, { probe });
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new TypeError(`Cannot ${OPERATION}: family must be 4 or 6, got ${shown(family)}`);
  }
  if (limit !== Infinity) checkNumber(OPERATION, "limit", limit);
  if (timeout !== Infinity) checkNumber(OPERATION, "timeout", timeout);
  return {
    limit,
    timeout,
    target: target === undefined ? undefined : targetOf(target),
    portal: portal === undefined ? undefined : probeOf(portal),
  };
}

function targetOf(target: string | ReadyTarget): ReadyTarget {
  const match = typeof target === "string" ? /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(target) : null;
  const [, bracketed, plain = "", port = ""] = match ?? [];
  const found = typeof target === "string" ? { hostname: bracketed ?? plain, port: Number(port) } : target;
  if (found.hostname !== "" && Number.isInteger(found.port) && found.port > 0 && found.port < 65_536) {
    return found;
  }
  const got = typeof target === "string" ? shown(target) : `${shown(target.hostname)} and ${target.port}`;
  throw new TypeError(`Cannot ${OPERATION}: target must be HOST:PORT, got ${got}`);
}

function probeOf(portal: string | URL | PortalProbe): PortalProbe {
  const probe = typeof portal === "string" || portal instanceof URL ? { url: portal } : portal;
  if (URL.canParse(probe.url)) return probe;
  throw new TypeError(`Cannot ${OPERATION}: portal must have a URL, got ${shown(probe.url)}`);
}
