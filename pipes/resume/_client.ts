/** The end of a session that opens its carriers: the first one, the next after a loss, and better ones beside it. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { exponential } from "../../recover/backoff.ts";
import { retry, type RetryPolicy } from "../../recover/retry.ts";
import { formatPipeAddress } from "../address.ts";
import type { BasePipe } from "../_base_pipe.ts";
import type { ConnectOptions } from "../connect.ts";
import { pathError } from "../_path_error.ts";
import { pathOf, type PipePath } from "../_path.ts";
import { type PathOwner, watchPath } from "../_path_watch.ts";
import type { PipeNetworkEvent } from "../pipe.ts";
import type { PipeError } from "../pipe_error.ts";
import { dialCarrier, type DialledCarrier, type Endpoint, secrecyOf } from "./_carrier_dial.ts";
import { SessionCore } from "./_core.ts";
import type { ClientHandshakeOptions } from "./_client_handshake.ts";
import { REJECT } from "./_handshake_frames.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import { inTurn, joinHub, wakeSpread } from "./_hub.ts";
import { Session, type SessionOwner } from "./_session.ts";
import { sessionPipe } from "./_session_pipe.ts";
import type { SessionPipe } from "./session.ts";

/** What a {@linkcode ClientSession} is made with. */
export interface ClientSetup {
  /** Where the server can be reached. */
  readonly endpoints: readonly Endpoint[];
  /** What handshakes are about, but for the session. */
  readonly handshake: ClientHandshakeOptions;
  /** Whether bytes that nothing protects may leave the machine and its private networks. */
  readonly plain: boolean;
  /** What the user asked for. */
  readonly options: ConnectOptions;
}

/** How long the next endpoint waits for the one before, in milliseconds. */
const APART = 250;

/** The longest wait between two attempts, in milliseconds. */
const LONGEST = 15_000;

/** Why a session gets a carrier beside the one it has. */
const MOVES: readonly PipeNetworkEvent["type"][] = [
  "gatewaychange",
  "defaultinterfacechange",
  "online",
  "wake",
];

/** A session at the client. */
export class ClientSession implements SessionOwner, PathOwner {
  /** What the application gets. */
  readonly pipe: SessionPipe & BasePipe;
  readonly #setup: ClientSetup;
  readonly #clock: Clock;
  readonly #keys: { readonly id: Uint8Array; readonly clientKey: Uint8Array; readonly serverKey: Uint8Array };
  readonly #session: Session;
  readonly #member = joinHub();
  readonly #over = new AbortController();
  #epoch = 1;
  /** The endpoints, the one that worked last first. */
  #endpoints: readonly Endpoint[];
  #policy: RetryPolicy | undefined;
  #moving: Promise<void> | undefined;
  #watch: Disposable | undefined;
  #path: PipePath;

  /**
   * Opens a session.
   *
   * @param setup Where to, and how.
   * @param signal Gives up.
   */
  static async open(setup: ClientSetup, signal: AbortSignal): Promise<ClientSession> {
    const { endpoints, handshake } = setup;
    const { carrier, endpoint } = await race(
      endpoints,
      (endpoint, signal) => {
        return dialCarrier(endpoint, { ...setup, ...setup.options, handshake, signal });
      },
      signal,
      setup.options.clock,
    );
    await carrier.link.write(carrier.confirm);
    return new ClientSession(setup, carrier, endpoint);
  }

  private constructor(setup: ClientSetup, carrier: DialledCarrier, endpoint: Endpoint) {
    const { clock = systemClock, network } = setup.options;
    const { session } = carrier;
    if (!session) throw new TypeError("Cannot begin with a session that exists");
    this.#setup = setup;
    this.#clock = clock;
    this.#keys = session;
    this.#endpoints = setup.endpoints;
    const { window, keepalive, expiry } = session.terms;
    const now = (): number => clock.monotonic();
    this.#session = new Session({
      role: "client",
      id: session.id,
      core: new SessionCore({ role: "client", window, keepalive, now }),
      expiry,
      secrecy: secrecyOf(carrier.link, setup.handshake.seal !== undefined),
      clock,
      network: () => network?.state,
      owner: this,
    });
    this.#path = pathOf(carrier.link.localAddress, carrier.link.remoteAddress, network?.state);
    this.#attach(carrier, endpoint);
    this.pipe = sessionPipe(this.#session, setup.options, () => this.migrate());
  }

  get path(): PipePath {
    return this.#path;
  }

  stands(): void {
    const { network, clock } = this.#setup.options;
    const { below } = this.#session;
    if (!below) return;
    this.#watch?.[Symbol.dispose]();
    this.#path = pathOf(below.localAddress, below.remoteAddress, network?.state);
    this.#watch = watchPath(this, network, clock);
  }

  suspended(session: Session, error: PipeError): void {
    if (this.#policy || this.#over.signal.aborted) return;
    void this.#resume(session, error);
  }

  suspicious(): void {
    this.#move();
  }

  addresses(): void {
    // Only places that the user has named are gone to, and those are known.
  }

  ended(session: Session): void {
    this.#watch?.[Symbol.dispose]();
    this.#member[Symbol.dispose]();
    // A session that is complete may have to say so once more.
    if (!session.core.complete) this.#over.abort(new DOMException("The session is over", "AbortError"));
  }

  addressLost(): void {
    const { remoteAddress } = this.pipe;
    const address = this.#path.address ?? "";
    const event = { type: "addresslost", at: this.#clock.now(), address } as const;
    this.pipe.emit(event);
    this.#session.drop(pathError(event, remoteAddress));
  }

  changed(event: PipeNetworkEvent): void {
    this.pipe.emit(event);
    if (this.#session.state === "suspended") this.#policy?.wake();
    else if (MOVES.includes(event.type)) this.#move();
  }

  /** See {@linkcode SessionPipe.migrate}. */
  migrate(): Promise<void> {
    return this.#moving ??= this.#migrate().finally(() => this.#moving = undefined);
  }

  /** Tries another carrier beside the one there is; what comes of it is told by events. */
  #move(): void {
    if (this.#session.state !== "open" || this.#policy) return;
    this.migrate().catch(() => {});
  }

  async #migrate(): Promise<void> {
    const { carrier, endpoint } = await inTurn(() => this.#dial(this.#over.signal), this.#over.signal);
    await this.#begin(carrier, endpoint);
  }

  async #resume(session: Session, lost: PipeError): Promise<void> {
    const { network, logger } = this.#setup.options;
    const policy = this.#policy = retry({
      maxAttempts: Infinity,
      backoff: exponential({ initial: 250, max: LONGEST, jitter: "full" }),
      operation: "connect",
      idempotent: true,
      // The session's own expiry is what ends it.
      retryIf: () => true,
      wakeSpread: wakeSpread(),
      clock: this.#clock,
      logger,
      // What is on this machine or on its links does not wait for a way to the public network.
      ...(network && this.#path.reach === "wide" ? { network } : {}),
    });
    try {
      await policy.execute(async ({ signal }) => {
        const refusal = await inTurn(() => this.#attempt(signal), signal);
        if (refusal) this.#refused(session, refusal);
      }, { signal: this.#over.signal });
    } catch (error) {
      session.lose("internal", `it could not be resumed: ${error}`, 5, lost);
    } finally {
      this.#policy = undefined;
    }
    // The new carrier may be lost again before anybody was told.
    if (session.state === "suspended" && !session.carried) void this.#resume(session, lost);
  }

  /** One attempt; what the server refused for good is no reason to try again. */
  async #attempt(signal: AbortSignal): Promise<SessionHandshakeError | undefined> {
    try {
      const { carrier, endpoint } = await this.#dial(signal);
      await this.#begin(carrier, endpoint);
      return undefined;
    } catch (error) {
      if (error instanceof SessionHandshakeError && error.reason === "rejected" && error.final) return error;
      throw error;
    }
  }

  #refused(session: Session, { rejection, message }: SessionHandshakeError): void {
    if (session.core.complete) return session.release();
    if (rejection === REJECT.expired) session.lose("expired", "the server says that it has expired", 3);
    else if (rejection === REJECT.resources) session.lose("resources", "the server gave it up", 2);
    else session.lose("refused", message, 3);
  }

  #dial(signal: AbortSignal): Promise<Dialled> {
    const { handshake, options } = this.#setup;
    return race(
      this.#endpoints,
      (endpoint, signal) => {
        const session = { ...this.#keys, epoch: ++this.#epoch, received: () => this.#session.core.received };
        return dialCarrier(endpoint, {
          ...this.#setup,
          ...options,
          handshake: { ...handshake, session },
          signal,
        });
      },
      signal,
      options.clock,
    );
  }

  async #begin(carrier: DialledCarrier, endpoint: Endpoint): Promise<void> {
    // CONFIRM before any frame.
    await carrier.link.write(carrier.confirm);
    this.#attach(carrier, endpoint);
  }

  #attach(carrier: DialledCarrier, endpoint: Endpoint): void {
    this.#endpoints = [endpoint, ...this.#endpoints.filter((one) => one !== endpoint)];
    this.#session.attach({ ...carrier, rest: new Uint8Array(0) });
  }
}

interface Dialled {
  readonly carrier: DialledCarrier;
  readonly endpoint: Endpoint;
}

/** The first of several endpoints that gives a carrier; the others begin a moment later each, or when one fails. */
async function race(
  endpoints: readonly Endpoint[],
  dial: (endpoint: Endpoint, signal: AbortSignal) => Promise<DialledCarrier>,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<Dialled> {
  const [only] = endpoints;
  if (only && endpoints.length === 1) return { carrier: await dial(only, signal), endpoint: only };
  const won = new AbortController();
  const either = AbortSignal.any([signal, won.signal]);
  let next = Promise.withResolvers<void>();
  const attempts: Promise<Dialled>[] = [];
  try {
    for (const endpoint of endpoints) {
      const began = next = Promise.withResolvers<void>();
      const attempt = dial(endpoint, either).then((carrier) => ({ carrier, endpoint }));
      attempts.push(attempt);
      attempt.then(() => won.abort(), () => began.resolve());
      const timer = clock.after(APART, began.resolve, { ref: true });
      either.addEventListener("abort", () => began.resolve(), { once: true });
      await began.promise;
      timer.cancel();
      if (either.aborted) break;
    }
    return await Promise.any(attempts);
  } catch (error) {
    signal.throwIfAborted();
    // Of several the last one is as good as any, and simpler to read than all of them.
    throw error instanceof AggregateError ? error.errors.at(-1) : error;
  } finally {
    next.resolve();
    won.abort(new DOMException("Another address was faster", "AbortError"));
    const [first] = await Promise.allSettled([Promise.any(attempts)]);
    for (const attempt of attempts) {
      const other = await attempt.catch(() => undefined);
      if (other && (first?.status !== "fulfilled" || other !== first.value)) other.carrier.link.abort();
    }
  }
}

/** Where a session's endpoints are, for messages. */
export function endpointsOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ place }) => formatPipeAddress(place)).join(", ");
}
