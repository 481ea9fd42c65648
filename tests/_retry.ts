/** A retry on trial: a function that fails as it is told to, on a clock and in a network that a test owns. */

import { assertEquals } from "@std/assert";
import type { NetworkView } from "../internal/network_view.ts";
import { exponential } from "../recover/backoff.ts";
import type { Failure } from "../recover/failure.ts";
import { retry, type RetryOptions, type RetryPolicy } from "../recover/retry.ts";
import type { RetryEvent } from "../recover/retry_event.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";

/** A failure that a later attempt may overcome. */
export const REFUSED: Failure = {
  scenario: null,
  kind: "refused",
  where: "remote",
  retry: "later",
  sent: "no",
  hint: "Start the server",
  code: "ECONNREFUSED",
  retryAfter: null,
  error: undefined,
};

/** One for want of a network. */
export const OFFLINE: Partial<Failure> = { kind: "offline", where: "local", retry: "after-change" };

/** An error that says itself what failure it is. */
export class Known extends Error {
  constructor(readonly failure: Partial<Failure> = {}, message = "no") {
    super(message);
  }
}

/** The failure that an error is. */
export function known(error: unknown): Failure {
  return { ...REFUSED, ...(error instanceof Known ? error.failure : {}), error };
}

const TYPES = ["attempt", "failure", "suspended", "gated", "resumed", "giveup", "success"] as const;

/** A policy on trial. */
export interface RetrySetup {
  readonly clock: FakeClock;
  readonly policy: RetryPolicy;
  /** All that it told. */
  readonly events: readonly RetryEvent[];
  /** When each attempt began. */
  readonly times: number[];
  run(signal?: AbortSignal): Promise<string>;
  /** The types of the events. */
  told(): string;
}

/** A policy whose function fails as it is told to, one failure after the other, and then succeeds. */
export function setup(failures: readonly Partial<Failure>[], options: RetryOptions = {}): RetrySetup {
  const clock = new FakeClock();
  const policy = retry({
    clock,
    random: () => 0.5,
    backoff: exponential({ jitter: "none" }),
    classify: known,
    ...options,
  });
  const events: RetryEvent[] = [];
  for (const type of TYPES) policy.on(type, (event) => void events.push(event));
  const left = [...failures];
  const times: number[] = [];
  const work = ({ attempt }: { attempt: number }): string => {
    const now = (options.clock ?? clock).monotonic();
    times.push(now);
    assertEquals(attempt, times.length - 1);
    const next = left.shift();
    if (next) throw new Known(next);
    return `attempt ${attempt}`;
  };
  return {
    clock,
    policy,
    events,
    times,
    run: (signal?: AbortSignal) => policy.execute(work, { signal }),
    told: () => events.map((event) => event.type).join(" "),
  };
}

/** A network on trial. */
export interface NetworkSetup extends AsyncDisposable {
  readonly watcher: NetworkView;
  /** Joins a network. */
  up(host?: string, gateway?: string): void;
  /** Loses the default route. */
  down(): void;
}

/** A network that can be switched, seen by a watcher. */
export async function networkSetup(clock: FakeClock): Promise<NetworkSetup> {
  const network = fakeNetwork();
  network.setInterface("wlan0");
  const watcher = await watchNetwork({ source: network.source, clock });
  return {
    watcher,
    up: (host = "192.168.1.23", gateway = "192.168.1.1") =>
      network.change(() => {
        network.setAddress("wlan0", `${host}/24`);
        network.setDefaultRoute(4, { interface: "wlan0", gateway });
      }),
    down: () => network.setDefaultRoute(4, null),
    [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose](),
  };
}
