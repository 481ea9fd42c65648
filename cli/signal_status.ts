/** `holdfast signal status`. */

import { wait } from "../internal/clock.ts";
import type { BrokerState } from "../signal/_broker.ts";
import { makeIdentity } from "../signal/identity.ts";
import { joinSignal } from "../signal/peer.ts";
import { EXIT } from "./failure.ts";
import { brokersOf } from "./signal_options.ts";
import type { Context, Line } from "./spec.ts";

/** How one broker is; a line of `--json`. */
export interface BrokerLine extends Line {
  /** The tag. */
  readonly type: "broker";
  /** Its address. */
  readonly url: string;
  /** How the link to it is. */
  readonly state: BrokerState;
  /** Why it is not up, or `null`. */
  readonly reason: string | null;
  /** Who runs it, as far as it shows: those that fail together have the same. */
  readonly operator: string;
}

/** How long to wait where nothing is said, in milliseconds. */
const TIMEOUT = 5000;

/** How often the states are looked at, in milliseconds. */
const LOOK = 20;

/** Connects to each broker, as somebody unknown, and tells how that went. */
export async function showBrokers({ values, json, emit, print, signal }: Context): Promise<number> {
  const brokers = await brokersOf("status", values);
  await using peer = await joinSignal({ identity: makeIdentity(), brokers, announce: false });
  const end = performance.now() + (values.number("timeout") ?? TIMEOUT);
  // One that is down may come up until the time is over.
  const waiting = (): boolean =>
    peer.status().brokers.some(({ state }) => state !== "up" && state !== "stopped");
  while (waiting() && performance.now() < end) await wait(LOOK, { signal });
  const found = peer.status();
  for (const { url, state, reason, operator } of found.brokers) {
    const why = reason?.message ?? null;
    if (json) await emit<BrokerLine>({ type: "broker", url, state, reason: why, operator });
    else await print(`${url}  ${state}${why === null || state === "up" ? "" : `  ${why}`}`);
  }
  if (!json && found.operators < brokers.length && found.brokers.every(({ state }) => state === "up")) {
    await print(`${brokers.length} brokers of ${found.operators} operators: what fails together counts once`);
  }
  return found.brokers.some(({ state }) => state === "up") ? EXIT.fine : EXIT.failed;
}
