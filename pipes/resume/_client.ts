/** The end of a session that opens its carriers: the first one, the next after a loss, and better ones beside it. */

import { type Clock, systemClock, type Timer } from "../../internal/clock.ts";
import { exponential } from "../../recover/backoff.ts";
import { classify } from "../../recover/classify.ts";
import { retry, type RetryPolicy } from "../../recover/retry.ts";
import type { BasePipe } from "../_base_pipe.ts";
import { pathError } from "../_path_error.ts";
import { pathOf, type PipePath } from "../_path.ts";
import { type PathOwner, watchPath } from "../_path_watch.ts";
import { closedError } from "../_pipe_errors.ts";
import type { PipeNetworkEvent } from "../pipe.ts";
import { PipeError } from "../pipe_error.ts";
import { dialCarrier, secrecyOf } from "./_carrier_dial.ts";
import { ClientDials, type Dialled, isRefusal } from "./_client_dials.ts";
import type { ClientSetup } from "./_client_setup.ts";
import { SessionCore } from "./_core.ts";
import { REJECT } from "./_handshake_frames.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import { inTurn, joinHub, wakeSpread } from "./_hub.ts";
import { raceEndpoints } from "./_race_endpoints.ts";
import { Session, type SessionOwner } from "./_session.ts";
import { sessionPipe } from "./_session_pipe.ts";
import type { SessionPipe } from "./session.ts";

/** The longest wait between two attempts, in milliseconds. */
const LONGEST = 15_000;

/** So many carriers in a row may be lost soon and without any progress before the next one has to wait. */
const FRUITLESS = 3;

/** A carrier that stood for so long was not lost soon, in milliseconds. */
const SOUND = 5000;

/** Why a session gets a carrier beside the one it has. */
const MOVES: readonly PipeNetworkEvent["type"][] = [
  "addresschange",
  "gatewaychange",
  "defaultinterfacechange",
  "online",
  "wake",
];

/** What may help a session that has no carrier. */
const HOPES: readonly string[] = [...MOVES, "addressadd"];

/** A session at the client. */
export class ClientSession implements SessionOwner, PathOwner {
  /** What the application gets. */
  readonly pipe: SessionPipe & BasePipe;
  readonly #setup: ClientSetup;
  readonly #clock: Clock;
  readonly #session: Session;
  readonly #member: Disposable = joinHub();
  readonly #over = new AbortController();
  readonly #dials: ClientDials;
  #policy: RetryPolicy | undefined;
  /** Settled when a suspended session goes on, or is over. */
  #resuming: Promise<void> | undefined;
  #moving: Promise<void> | undefined;
  /** Ends the dial of a carrier beside the one that there was. */
  #beside: AbortController | undefined;
  #soon: Timer | undefined;
  #watch: Disposable | undefined;
  #path: PipePath;
  /** When the carrier began to stand, and how far the session had come by then. */
  #stoodAt: number;
  #progress = 0;
  #fruitless = 0;

  /**
   * Opens a session.
   *
   * @param setup Where to, and how.
   * @param signal Gives up.
   */
  static async open(setup: ClientSetup, signal: AbortSignal): Promise<ClientSession> {
    const { endpoints, clock = systemClock, ...rest } = setup;
    const { value, place } = await raceEndpoints(endpoints, {
      dial: (endpoint, signal) => dialCarrier(endpoint, { ...rest, clock, signal }),
      discard: ({ link }) => link.abort(),
      final: (error) => error instanceof SessionHandshakeError,
      signal,
      clock,
    });
    if (signal.aborted) value.link.abort();
    signal.throwIfAborted();
    return new ClientSession(setup, { carrier: value, endpoint: place, least: 0 });
  }

  private constructor(setup: ClientSetup, dialled: Dialled) {
    const { clock = systemClock, network, seal } = { ...setup.options, ...setup.handshake };
    const { carrier, endpoint } = dialled;
    const { session, link } = carrier;
    if (!session) throw new TypeError("Cannot begin with a session that exists");
    this.#setup = setup;
    this.#clock = clock;
    const { window, keepalive, expiry } = session.terms;
    const now = (): number => clock.monotonic();
    this.#stoodAt = now();
    const core = new SessionCore({ role: "client", window, keepalive, now });
    this.#dials = new ClientDials({ setup, keys: session, core, best: endpoint, clock });
    this.#session = new Session({
      role: "client",
      id: session.id,
      core,
      expiry,
      secrecy: secrecyOf(link, seal !== undefined),
      clock,
      network: () => network?.state,
      owner: this,
    });
    this.#path = pathOf(link.localAddress, link.remoteAddress, network?.state);
    void this.#attach(dialled);
    this.pipe = sessionPipe(this.#session, setup.options, () => this.migrate());
  }

  get path(): PipePath {
    return this.#path;
  }

  stands(session: Session): void {
    const { network } = this.#setup.options;
    const { below } = session;
    if (!below || session.over) return;
    this.#stoodAt = this.#clock.monotonic();
    this.#watch?.[Symbol.dispose]();
    this.#path = pathOf(below.localAddress, below.remoteAddress, network?.state);
    this.#watch = watchPath(this, network, this.#clock);
  }

  suspended(session: Session, error: PipeError): void {
    const { core } = session;
    const progress = core.received + core.acknowledged;
    const soon = this.#clock.monotonic() - this.#stoodAt < SOUND;
    this.#fruitless = soon && progress === this.#progress ? this.#fruitless + 1 : 0;
    this.#progress = progress;
    // The carrier that was tried beside the lost one would have to be the first of those that come now.
    this.#beside?.abort(error);
    this.#resume(session, error);
  }

  suspicious(): void {
    this.#move();
  }

  addresses(_session: Session, urls: readonly string[]): void {
    // The server that we are with is not among those that it names: it is going to leave.
    if (this.#dials.tell(urls)) this.#hope();
  }

  ended(session: Session): void {
    this.#watch?.[Symbol.dispose]();
    this.#member[Symbol.dispose]();
    this.#soon?.cancel();
    this.#beside?.abort(session.error ?? closedError());
    // A session that is complete may have to say so once more.
    if (!session.core.complete) this.#giveUp();
  }

  settled(): void {
    this.#giveUp();
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
    if (this.#session.state === "open" && MOVES.includes(event.type)) this.#hope();
  }

  /** See {@linkcode SessionPipe.migrate}. */
  migrate(): Promise<void> {
    const { over, error } = this.#session;
    if (over) return Promise.reject(error ?? closedError());
    return this.#moving ??= this.#migrate().finally(() => this.#moving = undefined);
  }

  async #migrate(): Promise<void> {
    const { options: { network } } = this.#setup;
    // One that is suspended is about to get another carrier anyhow.
    if (this.#resuming) return await this.#resumed();
    const beside = this.#beside = new AbortController();
    try {
      await this.#carry(beside.signal);
    } catch (error) {
      if (beside.signal.aborted && this.#resuming) return await this.#resumed();
      if (error instanceof PipeError) throw error;
      const failure = classify(error, { operation: "connect", network: network?.state });
      const why = error instanceof Error ? error.message : String(error);
      throw new PipeError(`Cannot move the session to another connection: ${why}`, {
        code: "connect",
        operation: "move the session",
        failure,
        cause: error,
        hint: failure.hint,
      });
    } finally {
      if (this.#beside === beside) this.#beside = undefined;
    }
  }

  async #resumed(): Promise<void> {
    this.#policy?.wake();
    await this.#resuming;
    const { over, error } = this.#session;
    if (over) throw error ?? closedError();
  }

  /** Tries another carrier beside the one there is; what comes of it is told by events. */
  #move(): void {
    if (this.#session.state !== "open") return;
    this.migrate().catch(() => {
      const { core, state } = this.#session;
      // Neither this one nor another one gives an answer: the application is to know.
      if (state === "open" && core.suspicious) {
        this.#session.drop(new Deno.errors.TimedOut("Cannot reach the other end: it does not answer"));
      }
    });
  }

  /** The network has changed; in a moment, as changes do not come alone, and other sessions see them too. */
  #hope(): void {
    this.#soon ??= this.#clock.after(Math.random() * wakeSpread(), () => {
      this.#soon = undefined;
      if (this.#dials.restart()) return;
      if (this.#session.state === "open") this.#move();
      else this.#policy?.wake();
    });
  }

  #resume(session: Session, lost: PipeError): void {
    this.#resuming ??= this.#resumeUntilDone(session, lost).finally(() => {
      this.#resuming = undefined;
      // The new carrier may be lost again already.
      if (session.waits && !this.#over.signal.aborted) this.#resume(session, lost);
    });
  }

  async #resumeUntilDone(session: Session, lost: PipeError): Promise<void> {
    const { network, logger } = this.#setup.options;
    // Who is let in and thrown out at once, again and again, does not come back at once.
    const fruitless = this.#fruitless - FRUITLESS;
    const initial = 250 * 2 ** Math.min(6, Math.max(0, fruitless));
    const backoff = exponential({ initial: Math.min(LONGEST, initial), max: LONGEST, jitter: "full" });
    const policy = this.#policy = retry({
      maxAttempts: Infinity,
      backoff,
      operation: "connect",
      idempotent: true,
      // The session's own expiry is what ends it.
      retryIf: () => true,
      classify: (error, context) => {
        const failure = classify(error, context);
        const asked = error instanceof SessionHandshakeError ? error.retryAfter : 0;
        return asked > 0 ? { ...failure, retryAfter: asked } : failure;
      },
      wakeSpread: wakeSpread(),
      clock: this.#clock,
      logger,
      // What is on this machine or on its links does not wait for a way to the public network.
      ...(network && this.#path.reach === "wide" ? { network } : {}),
    });
    using _hopes = network && this.#path.reach !== "machine"
      ? network.subscribe(({ type }) => HOPES.includes(type) && this.#hope())
      : undefined;
    const { signal } = this.#over;
    try {
      await policy.execute(async ({ signal, attempt }) => {
        if (fruitless >= 0 && attempt === 0) {
          throw new Error("Cannot resume at once: the connections before were of no use");
        }
        await this.#attempt(session, signal);
      }, { signal });
    } catch (error) {
      if (!signal.aborted) session.lose("internal", `it could not be resumed: ${error}`, 5, lost);
    } finally {
      this.#policy = undefined;
    }
  }

  /** One attempt; what the server refused for good is no reason to try again. */
  async #attempt(session: Session, signal: AbortSignal): Promise<void> {
    try {
      await this.#carry(signal);
    } catch (error) {
      if (!(error instanceof SessionHandshakeError) || error.reason !== "rejected" || signal.aborted) {
        throw error;
      }
      const { rejection } = error;
      if (rejection === REJECT.moved) this.#dials.moved(error.text);
      if (!isRefusal(error)) throw error;
      // The server may have forgotten a session that is complete.
      if (session.core.complete) return session.release();
      if (rejection === REJECT.expired) session.lose("expired", "the server says that it has expired", 3);
      else if (rejection === REJECT.resources) session.lose("resources", "the server gave it up", 2);
      else session.lose("refused", error.message.replace(/^.*?: /, ""), 3);
    }
  }

  /** Opens a carrier, and resolves when it stands. */
  async #carry(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#over.signal]);
    const dialled = await inTurn(() => this.#dials.dial(either), either);
    if (either.aborted) dialled.carrier.link.abort();
    either.throwIfAborted();
    await this.#attach(dialled);
  }

  #attach({ carrier, endpoint, least }: Dialled): Promise<void> {
    this.#dials.best = endpoint;
    return this.#session.attach({ ...carrier, least, rest: new Uint8Array(0) });
  }

  #giveUp(): void {
    this.#soon?.cancel();
    this.#over.abort(this.#session.error ?? closedError());
  }
}
