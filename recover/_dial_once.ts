/** One go at a target: look it up, race its addresses, remember what worked. */

import type { Clock } from "../internal/clock.ts";
import { HoldfastError, isNotCapable, PermissionError } from "../internal/errors.ts";
import type { NetworkView, NetworkViewState } from "../internal/network_view.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import { familyOf, isInReach, sortAddresses } from "./_address_sort.ts";
import { type Connected, type ConnectOptions, connectTo } from "./_connect.ts";
import { closeQuietly } from "./_connections.ts";
import { failureOf, noAddressError, offlineError } from "./_dial_failure.ts";
import { type AddressRecord, type DialResolver, gather } from "./_gather.ts";
import { Race, type RaceAttempt } from "./_race.ts";
import { SINKHOLED } from "./_resolve.ts";
import type { ParsedTarget } from "./_target.ts";
import { type DialAttempt, DialError, mostTelling } from "./dial_error.ts";
import type { DialMemory, DialRecollection } from "./dial_memory.ts";
import type { Failure } from "./failure.ts";
import { networkKey } from "./network_key.ts";
import { TimeoutError } from "./timeout.ts";

/** All that a go needs to know. */
export interface DialPlan<T> extends Omit<ConnectOptions<T>, "port" | "step"> {
  readonly target: ParsedTarget;
  readonly families: readonly (4 | 6)[];
  readonly resolvers: readonly DialResolver[];
  readonly memory: DialMemory;
  readonly network: NetworkView | undefined;
  readonly clock: Clock;
  readonly attemptDelay: number;
  readonly attemptTimeout: number;
  readonly resolutionDelay: number;
  readonly resolveTimeout: number;
}

/** What a go has reached. */
export interface Dialled<T> extends Connected<T> {
  readonly address: string;
  readonly took: number;
  readonly attempts: readonly DialAttempt[];
}

/**
 * Dials once.
 *
 * @param plan What and how.
 * @param signal Calls it off.
 * @throws {DialError} When no address could be reached.
 * @throws {PermissionError} When the runtime forbids to reach any.
 */
export async function dialOnce<T>(plan: DialPlan<T>, signal: AbortSignal): Promise<Dialled<T>> {
  signal.throwIfAborted();
  const go = new Go(plan);
  const abort = (): void => go.race.abort(signal.reason);
  using _network = plan.network?.subscribe(() => go.restart());
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await go.run(signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What is known of an attempt besides how the race sees it. */
interface Details {
  step: DialAttempt["step"];
  readonly path: string | null;
}

class Go<T> {
  race: Race<Connected<T>>;
  readonly #plan: DialPlan<T>;
  readonly #began: number;
  readonly #known: DialRecollection;
  readonly #family: 4 | 6;
  readonly #details = new WeakMap<RaceAttempt, Details>();
  /** What went wrong with the name, and with the races before. */
  readonly #past: DialAttempt[] = [];
  /** Addresses of a family that has no way out at the moment. */
  #spare: readonly string[] = [];

  constructor(plan: DialPlan<T>) {
    const { memory, network, target, clock } = plan;
    this.#plan = plan;
    this.#began = clock.monotonic();
    this.#known = memory.recall(networkKey(network), target.text);
    const [only] = network?.state.families.length === 1 ? network.state.families : [];
    this.#family = only ?? this.#known.family ?? 6;
    this.race = this.#newRace();
  }

  async run(signal: AbortSignal): Promise<Dialled<T>> {
    const stop = new AbortController();
    const looking = this.#look(stop.signal).catch((error) => this.race.abort(error));
    try {
      const first = await this.race.result;
      if (first.won) return this.#won(first.attempt, first.value);
      if (!this.#mayTryByName()) throw this.#error();
      // What was called off between two races has reached neither.
      signal.throwIfAborted();
      this.#past.push(...this.race.attempts.map((attempt) => this.#describe(attempt)));
      this.race = this.#newRace();
      this.race.join([this.#plan.target.hostname]);
      this.race.complete();
      const second = await this.race.result;
      if (second.won) return this.#won(second.attempt, second.value);
      throw this.#error();
    } finally {
      stop.abort();
      await looking;
    }
  }

  /** Starts attempts anew whose way out of this machine is another one now. */
  restart(): void {
    this.race.restart((attempt) => {
      const { path } = this.#details.get(attempt) ?? { path: null };
      return path !== null && path !== this.#pathOf(attempt.address);
    });
  }

  #newRace(): Race<Connected<T>> {
    const { attemptDelay: delay, clock } = this.#plan;
    return new Race({
      delay,
      clock,
      attempt: (attempt, signal) => this.#attempt(attempt, signal),
      discard: ({ conn }) => closeQuietly(conn),
      sort: (addresses, last) => {
        const order = { family: this.#family, known: this.#known.addresses };
        return sortAddresses(addresses, order, last === undefined ? undefined : familyOf(last));
      },
    });
  }

  /** Finds addresses, and lets them take part. */
  async #look(signal: AbortSignal): Promise<void> {
    const { target, families, resolvers, resolutionDelay, resolveTimeout, clock } = this.#plan;
    if (target.isAddress) {
      this.race.join([target.hostname]);
      return this.race.complete();
    }
    const ordered = families.toSorted((a, b) => Number(b === this.#family) - Number(a === this.#family));
    const types = ordered.map((family): AddressRecord => family === 4 ? "A" : "AAAA");
    try {
      const options = { hostname: target.hostname, types, resolvers, resolutionDelay, clock, signal };
      const failures = await gather({
        ...options,
        timeout: resolveTimeout,
        found: (addresses) => this.#join(addresses),
      });
      const found = this.race.joined || this.#spare.length > 0 ||
        failures.some(({ error }) => isSinkhole(error));
      for (const { type, started, ended, error } of failures) {
        // That a name has addresses of one family only is no failure.
        if (found && saysNoSuchName(error)) continue;
        const times = { started: started - this.#began, ended: ended - this.#began };
        const context = { network: this.#state, elapsed: ended - started };
        this.#past.push({
          ...{ address: target.hostname, family: type === "A" ? 4 : 6, step: "resolve" as const, ...times },
          ...{ outcome: "failed" as const, failure: failureOf(error, "resolve", context) },
        });
      }
      if (!this.race.joined) this.race.join(this.#spare);
      // What worked here before may work still, unless somebody knows that the name is gone.
      const unsure = failures.length > 0 && !failures.some(({ error }) => saysNoSuchName(error));
      if (!this.race.joined && unsure) this.race.join(this.#known.addresses);
    } catch (error) {
      // The race is over, and nobody needs the rest.
      if (!signal.aborted) throw error;
    }
    this.race.complete();
  }

  #join(addresses: readonly string[]): void {
    const state = this.#state;
    const good = addresses.filter((address) => !state || isInReach(address, state));
    this.#spare = [...this.#spare, ...addresses.filter((address) => !good.includes(address))];
    this.race.join(good);
  }

  async #attempt(attempt: RaceAttempt, signal: AbortSignal): Promise<Connected<T>> {
    const { target, clock, attemptTimeout } = this.#plan;
    const { address } = attempt;
    const details: Details = { step: "connect", path: this.#pathOf(address) };
    this.#details.set(attempt, details);
    const state = this.#state;
    if (state && !state.online && !isInReach(address, state)) throw offlineError(address);
    const host = address.includes(":") ? `[${address}]:${target.port}` : `${address}:${target.port}`;
    // Nobody is asked for an address that the caller never named: the name is tried instead.
    if (address !== target.hostname && wouldPrompt([{ name: "net", host }])) {
      throw new PermissionError(`connect to ${host}`, ["--allow-net"]);
    }
    const late = new AbortController();
    const timer = clock.after(attemptTimeout, () => late.abort(new TimeoutError(attemptTimeout)), {
      ref: true,
    });
    const step = (name: DialAttempt["step"]): void => void (details.step = name);
    try {
      const options = { ...this.#plan, port: target.port, step };
      return await connectTo(address, options, AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  }

  get #state(): NetworkViewState | undefined {
    return this.#plan.network?.state;
  }

  /** By which interface and source address an address is reached, or `null` where nobody can tell. */
  #pathOf(address: string): string | null {
    const routes = this.#state?.defaultRoute;
    const route = familyOf(address) === 4 ? routes?.v4 : routes?.v6;
    return route ? `${route.interface} ${route.source}` : null;
  }

  /** Whether the runtime allows the name, and not the addresses: then the runtime's own way is the only one. */
  #mayTryByName(): boolean {
    const { attempts } = this.race;
    return !this.#plan.target.isAddress && attempts.length > 0 &&
      attempts.every(({ error }) => isRefused(error));
  }

  #won(attempt: RaceAttempt, connected: Connected<T>): Dialled<T> {
    const { network, memory, target, clock } = this.#plan;
    const { remoteAddr } = connected.conn;
    const byName = attempt.address === target.hostname && !target.isAddress;
    const address = byName && remoteAddr.transport === "tcp" ? remoteAddr.hostname : attempt.address;
    const attempts = this.#allAttempts();
    const key = networkKey(network);
    this.#forget(attempts);
    if (!target.isAddress) memory.worked(key, target.text, address);
    if (attempts.some((other) => other.family !== familyOf(address) && this.#isDead(other))) {
      memory.prefer(key, familyOf(address));
    }
    return { ...connected, address, took: clock.monotonic() - this.#began, attempts };
  }

  #error(): DialError | PermissionError {
    const { target } = this.#plan;
    const attempts = this.#allAttempts();
    this.#forget(attempts);
    const failure = mostTelling(attempts) ?? this.#noAddress();
    if (failure.scenario === "permission-missing") {
      return new PermissionError(`connect to ${target.text}`, [`--allow-net=${target.text}`], failure.error);
    }
    return new DialError(target.text, failure, attempts);
  }

  #noAddress(): Failure {
    const { target, clock } = this.#plan;
    const context = { network: this.#state, elapsed: clock.monotonic() - this.#began };
    return failureOf(noAddressError(target.hostname), "resolve", context);
  }

  /** An address that failed is not tried first the next time, unless the fault lies here. */
  #forget(attempts: readonly DialAttempt[]): void {
    const { network, memory, target } = this.#plan;
    for (const { address, step, failure } of attempts) {
      if (step === "resolve" || !failure || failure.where === "local" || failure.kind === "permission") {
        continue;
      }
      memory.failed(networkKey(network), target.text, address);
    }
  }

  /** Whether nothing came back from an address; a refusal shows that its family works. */
  #isDead({ step, outcome, started, ended, failure, family }: DialAttempt): boolean {
    if (step !== "connect" || family === null) return false;
    if (outcome === "abandoned") return ended - started >= this.#plan.attemptDelay;
    return failure?.kind === "timeout" || failure?.kind === "unreachable";
  }

  #allAttempts(): readonly DialAttempt[] {
    const all = [...this.#past, ...this.race.attempts.map((attempt) => this.#describe(attempt))];
    return all.toSorted((a, b) => a.started - b.started);
  }

  #describe(attempt: RaceAttempt): DialAttempt {
    const { address, started, ended, outcome, error } = attempt;
    const { hostname, isAddress } = this.#plan.target;
    const { step } = this.#details.get(attempt) ?? { step: "connect" };
    return {
      address,
      family: address === hostname && !isAddress ? null : familyOf(address),
      step,
      started: started - this.#began,
      ended: ended - this.#began,
      outcome: outcome === "won" ? "connected" : outcome === "failed" ? "failed" : "abandoned",
      failure: outcome === "failed"
        ? failureOf(error, step, { network: this.#state, address, elapsed: ended - started })
        : null,
    };
  }
}

function isRefused(error: unknown): boolean {
  return isNotCapable(error) || error instanceof PermissionError;
}

/** Whether there were addresses, if none to follow. */
function isSinkhole(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === SINKHOLED;
}

function saysNoSuchName(error: unknown): boolean {
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  return name === "NotFound" || code === "ENOTFOUND" || code === "ENODATA";
}
