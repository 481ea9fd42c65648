/** Looks after a pipe's connection: tells what the network does to it, reacts to that, and connects again. */

import { type Clock, systemClock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { type Heartbeat, heartbeat } from "../recover/heartbeat.ts";
import { retry, type RetryOptions, type RetryPolicy } from "../recover/retry.ts";
import { BasePipe } from "./_base_pipe.ts";
import type { Dialer, Link } from "./_link.ts";
import { pathError } from "./_path_error.ts";
import { pathOf, type PipePath } from "./_path.ts";
import { isAddressGone, type PathOwner, watchPath } from "./_path_watch.ts";
import type { PipeKeeper, PipeOptions } from "./_pipe_options.ts";
import type { NetworkPolicy, NetworkReaction, PathEvent, ReconnectOptions } from "./network_options.ts";
import type { Pipe, PipeNetworkEvent } from "./pipe.ts";
import type { PipeError } from "./pipe_error.ts";

/** What a {@linkcode NetworkKeeper} takes. */
export interface NetworkKeeperOptions extends PipeOptions, ReconnectOptions {}

/** What is known of a pipe besides what the user asked for. */
export interface KeepOptions {
  /** Opens another link to the same place, one attempt a call; missing for pipes that were accepted. */
  readonly dial?: Dialer | undefined;
  /** Called when the pipe is over. */
  readonly ended?: (() => void) | undefined;
}

const REACTIONS: readonly unknown[] = ["keep", "reconnect", "close"];

/**
 * Checks what the user asked for, before anything is opened.
 *
 * @param options The options.
 * @throws {TypeError} When a policy or the heartbeat makes no sense.
 */
export function checkNetworkOptions({ onNetwork = {}, heartbeat }: PipeOptions): void {
  for (const [name, policy] of Object.entries(onNetwork)) {
    if (policy === undefined || typeof policy === "function" || REACTIONS.includes(policy)) continue;
    const known = 'a function, "keep", "reconnect" or "close"';
    throw new TypeError(
      `Cannot make a pipe: onNetwork.${name} must be ${known}, got ${Deno.inspect(policy)}`,
    );
  }
  if (heartbeat && typeof heartbeat.ping !== "function") {
    throw new TypeError(`Cannot make a pipe: heartbeat.ping must be a function, got ${heartbeat.ping}`);
  }
}

/**
 * Makes a pipe, and looks after it until it is over.
 *
 * @param link The connection, which belongs to the pipe now.
 * @param options What the user asked for.
 * @param more What else is known.
 */
export function keepPipe(link: Link, options: NetworkKeeperOptions, more: KeepOptions = {}): BasePipe {
  const keeper = new NetworkKeeper(options, more);
  const pipe = new BasePipe(link, options, keeper);
  keeper.attach(pipe, link);
  return pipe;
}

class NetworkKeeper implements PipeKeeper, PathOwner {
  readonly #options: NetworkKeeperOptions;
  readonly #more: KeepOptions;
  #pipe: BasePipe | undefined;
  #path: PipePath = NOWHERE;
  /** Whether a new connection leaves messages whole. */
  #whole = false;
  #watch: Disposable | undefined;
  #beat: Heartbeat | undefined;
  /** What is to happen to the connection that is about to be lost. */
  #verdict: NetworkReaction | undefined;
  #dialling: { readonly stop: AbortController; readonly policy: RetryPolicy } | undefined;

  constructor(options: NetworkKeeperOptions, more: KeepOptions) {
    this.#options = options;
    this.#more = more;
  }

  attach(pipe: BasePipe, link: Link): void {
    this.#pipe = pipe;
    this.#whole = link.unit === "message" || this.#options.framing !== undefined;
    this.connected();
  }

  get path(): PipePath {
    return this.#path;
  }

  get mayReconnect(): boolean {
    return this.#more.dial !== undefined && this.#options.reconnect !== false;
  }

  get roundTrip(): number | null {
    return this.#beat?.rtt ?? null;
  }

  connected(): void {
    const { network, clock } = this.#options;
    this.#dialling = undefined;
    if (!this.#pipe) return;
    const { localAddress, remoteAddress } = this.#pipe;
    this.#watch?.[Symbol.dispose]();
    this.#path = pathOf(localAddress, remoteAddress, network?.state);
    this.#watch = watchPath(this, network, clock);
    this.#listen(this.#pipe);
  }

  heard(): void {
    this.#beat?.alive();
  }

  addressLost(): void {
    const { clock = systemClock } = this.#options;
    this.#tell({ type: "addresslost", at: clock.now(), address: this.#path.address ?? "" });
  }

  changed(event: PipeNetworkEvent): void {
    this.#tell(event);
    this.#beat?.check();
    // Nothing tells when a neighbour can be reached again; this is the time to try.
    if (this.#path.reach !== "wide") this.#dialling?.policy.wake();
  }

  lost(error: PipeError): Promise<Link> | undefined {
    const verdict = this.#verdict ?? this.#suspicion(error);
    this.#verdict = undefined;
    this.#endBeat();
    const { dial } = this.#more;
    if (verdict !== "reconnect" || !dial || this.#options.reconnect === false) return undefined;
    const stop = new AbortController();
    const policy = retry(this.#retryOptions());
    this.#dialling = { stop, policy };
    return policy.execute(({ signal }) => dial({ signal }), { signal: stop.signal });
  }

  ended(): void {
    this.#watch?.[Symbol.dispose]();
    this.#endBeat();
    this.#dialling?.stop.abort(new DOMException("The pipe is over", "AbortError"));
    this.#more.ended?.();
  }

  /** Tells an event, and does what the policy says. */
  #tell(event: PathEvent): void {
    const pipe = this.#pipe;
    if (!pipe) return;
    pipe.emit(event);
    if (pipe.state.type !== "open") return;
    const reaction = this.#reaction(event, pipe);
    if (reaction === "keep" || pipe.state.type !== "open") return;
    this.#verdict = reaction;
    pipe.lose(pathError(event, pipe.remoteAddress));
    this.#verdict = undefined;
  }

  #reaction(event: PathEvent, pipe: BasePipe): NetworkReaction {
    // The event is of the type that the policy is for.
    const policy = this.#options.onNetwork?.[event.type] as NetworkPolicy | undefined;
    if (typeof policy === "string") return policy;
    try {
      const reaction = policy?.(event, pipe as unknown as Pipe) ?? undefined;
      if (reaction === undefined) return this.#usual(event);
      if (REACTIONS.includes(reaction)) return reaction;
      const known = '"keep", "reconnect", "close" or nothing';
      throw new TypeError(
        `Cannot react to ${event.type}: it must be ${known}, got ${Deno.inspect(reaction)}`,
      );
    } catch (error) {
      pipe.uncaught(`onNetwork.${event.type}`, error);
      return this.#usual(event);
    }
  }

  #usual({ type }: PathEvent): NetworkReaction {
    if (type !== "addresslost") return "keep";
    const asked = this.#options.reconnect !== undefined && this.#options.reconnect !== false;
    return this.mayReconnect && (this.#whole || asked) ? "reconnect" : "close";
  }

  /** What to do about a loss that nobody has decided on; that the own address is gone may show by nothing else. */
  #suspicion(error: PipeError): NetworkReaction {
    const { network, clock, reconnect } = this.#options;
    const pipe = this.#pipe;
    if (pipe && error.failure?.kind !== "cancelled" && isAddressGone(this.#path, network, clock)) {
      const event: PathEvent = {
        type: "addresslost",
        at: (clock ?? systemClock).now(),
        address: this.#path.address ?? "",
      };
      // Told but once: the connection is over.
      this.#watch?.[Symbol.dispose]();
      pipe.emit(event);
      const reaction = this.#reaction(event, pipe);
      if (reaction !== "keep") return reaction;
    }
    return reconnect === undefined || reconnect === false ? "close" : "reconnect";
  }

  #retryOptions(): RetryOptions {
    const { network, logger, reconnect } = this.#options;
    const clock: Clock = this.#options.clock ?? systemClock;
    // What is on this machine or on its links does not wait for a way to the public network.
    const away: NetworkView | undefined = this.#path.reach === "wide" ? network : undefined;
    return {
      maxAttempts: Infinity,
      clock,
      logger,
      ...(away ? { network: away } : {}),
      ...(typeof reconnect === "object" ? reconnect : {}),
      operation: "connect",
      idempotent: true,
    };
  }

  #listen(pipe: BasePipe): void {
    const { heartbeat: options, clock } = this.#options;
    this.#endBeat();
    if (!options) return;
    const { interval, timeout } = options;
    const beat = this.#beat = heartbeat({
      ping: (signal) => options.ping(pipe as unknown as Pipe, signal),
      ...(interval === undefined ? {} : { interval }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(clock ? { clock } : {}),
    });
    beat.on("pong", () => pipe.prove(true));
    beat.on("alive", () => pipe.prove(true));
    beat.on("suspect", () => pipe.prove(false));
    beat.on("dead", ({ error }) => pipe.lose(error));
  }

  #endBeat(): void {
    this.#beat?.[Symbol.dispose]();
    this.#beat = undefined;
  }
}

/** Before the first connection is known. */
const NOWHERE: PipePath = {
  reach: "machine",
  family: null,
  address: null,
  key: null,
  interface: null,
  byDefault: false,
};
