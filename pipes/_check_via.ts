/** Whether the way by which a pipe is to leave this machine makes sense. */

import { parseIp } from "../internal/ip.ts";
import type { PipeVia } from "./connect.ts";

/**
 * Looks at what the user asked for, before anything is opened.
 *
 * @param via The way.
 * @param operation What it is for.
 * @throws {TypeError} When it makes no sense.
 */
export function checkVia(via: PipeVia, operation: "connect" | "listen" = "connect"): void {
  const { address, interface: device } = via as { readonly address?: unknown; readonly interface?: unknown };
  const fail = (why: string): TypeError => new TypeError(`Cannot ${operation}: ${why}`);
  if ((address === undefined) === (device === undefined)) {
    throw fail("via must have an address or an interface, and not both");
  }
  // IFNAMSIZ of linux/if.h is 16, and dev_valid_name() allows anything but these.
  if (device !== undefined && (typeof device !== "string" || !/^[^\s/:\0]{1,15}$/.test(device))) {
    throw fail(`via.interface must be the name of an interface, got ${JSON.stringify(device)}`);
  }
  if (address !== undefined && (typeof address !== "string" || !parseIp(address.replace(/%.*$/, "")))) {
    throw fail(`via.address must be an IP address, got ${JSON.stringify(address)}`);
  }
}
