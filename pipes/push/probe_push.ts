/** What works here of pushing sockets, and by which of several ways. */

import { flagsOf, type Need, permissionState } from "../../internal/permissions.ts";
import { libcNeed } from "../../internal/ffi/libc.ts";
import { connClass } from "./_conn_class.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { datagramHandleClass, mayUse, tcpHandleClass } from "./_internals.ts";
import { waysThatWork } from "./_detach.ts";
import { transplantObstacle } from "./_transplant.ts";

/** One channel, or one thing that is done to sockets. */
export interface PushBackendState {
  /** `channel scm`, `channel ipc`, `detach` and so on. */
  readonly backend: string;
  /** Whether it works here and now. */
  readonly usable: boolean;
  /** Why not; or which way is taken, where there are several. */
  readonly reason?: string;
  /** The flags that it runs under. */
  readonly needs: readonly string[];
  /** Those of them that are missing. */
  readonly flags?: readonly string[];
  /** What else to do. */
  readonly hint?: string;
}

/**
 * Tries what sockets are pushed by: the channels, and each step of which there are several ways. Two connections within this
 * machine are made for that, where it is allowed.
 *
 * @returns One line each.
 *
 * @example
 * ```ts
 * import { probePush } from "@holdfast/net/pipes/push";
 * import { assert } from "@std/assert";
 *
 * const states = await probePush();
 * assert(states.some(({ backend, usable }) => backend === "channel worker" && usable));
 * ```
 */
export async function probePush(): Promise<PushBackendState[]> {
  const linux = Deno.build.os === "linux";
  using calls = tryCalls();
  const ffi = linux ? [libcNeed()] : [];
  const handles = mayUse("handle") && await tcpHandleClass() !== undefined;
  const state = (
    backend: string,
    usable: boolean,
    reason: string,
    needs: readonly Need[] = [],
  ): PushBackendState => {
    const missing = usable ? [] : flagsOf(needs.filter((need) => permissionState(need) !== "granted"));
    return {
      backend,
      usable,
      reason: missing.length > 0 ? "permission missing" : reason,
      needs: flagsOf(needs),
      ...(missing.length > 0 ? { flags: missing } : {}),
    };
  };
  const [detaching, adopted, datagrams, obstacle] = await Promise.all([
    waysThatWork(),
    mayUse("take-stream") ? connClass() : undefined,
    datagramHandleClass(),
    transplantObstacle(),
  ]);
  const descriptors = [...handles ? ["handle", "from-rid"] : [], ...calls ? ["symbol", "scan"] : []];
  return [
    state("channel scm", calls !== null, linux ? "Unix sockets" : `not on ${Deno.build.os}`, ffi),
    state(
      "channel inherit",
      Deno.build.os !== "windows" && handles,
      handles ? "child processes" : "no handles",
    ),
    state("channel ipc", Deno.build.os !== "windows" && handles, handles ? "Node's protocol" : "no handles"),
    state("channel worker", true, "within this process"),
    state("descriptor", descriptors.length > 0, descriptors.join(", "), handles ? [] : ffi),
    state("detach", detaching.length > 0, detaching.join(", "), ffi),
    state("adopt stream", true, adopted ? "take-stream" : "node:net"),
    state(
      "adopt datagrams",
      datagrams !== undefined && mayUse("datagram"),
      datagrams ? "handle" : "no handle",
    ),
    state("adopt HTTP listener", true, obstacle === null ? "Deno.serve" : `node:http (${obstacle})`),
  ];
}
