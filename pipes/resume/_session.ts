/** One end of a session at work: its state over all its carriers, and its timers. */

import { type Clock, holdProcess, type Timer } from "../../internal/clock.ts";
import type { NetworkViewState } from "../../internal/network_view.ts";
import type { Link } from "../_link.ts";
import { classify } from "../../recover/classify.ts";
import { TimeoutError } from "../../recover/timeout.ts";
import { lossError } from "../_pipe_errors.ts";
import type { PipeError } from "../pipe_error.ts";
import type { Attachment, SessionCore } from "./_core.ts";
import type { SealedCodec } from "./_seal.ts";
import { CarrierEnd, SessionCarrier } from "./_session_carrier.ts";
import { LiveInfo } from "./_session_info.ts";
import { SessionLink } from "./_session_link.ts";
import type { PipeSessionEvent, SessionInfo, SessionState } from "./session.ts";
import { reasonOfAbort, SessionLost, type SessionLostReason } from "./session_lost.ts";

/** Who looks after a session. */
export interface SessionOwner {
  /** It has no carrier any more. */
  suspended(session: Session, error: PipeError): void;
  /** Its carrier stands: at the server at once, at the client when the other end has said something. */
  stands?(session: Session): void;
  /** The other end does not answer, or the carrier may not be the best any more. */
  suspicious?(session: Session): void;
  /** The server can be found elsewhere too. */
  addresses?(session: Session, urls: readonly string[]): void;
  /** It is closed or lost; one that is closed may need a carrier all the same, to say so. */
  ended(session: Session): void;
  /** Nothing of it is left: no carrier, no timer. */
  settled?(session: Session): void;
}

/** What a {@linkcode Session} is made with. */
export interface SessionSetup {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** Its name, 16 bytes. */
  readonly id: Uint8Array;
  /** What it is at heart. */
  readonly core: SessionCore;
  /** For how many milliseconds it may be without a carrier. */
  readonly expiry: number;
  /** How its carriers are protected. */
  readonly secrecy: SessionInfo["secrecy"];
  /** The key that the other end has proven to own. */
  readonly peerKey?: Uint8Array | null | undefined;
  /** What the client said first. */
  readonly greeting?: Uint8Array | undefined;
  /** Source of time. */
  readonly clock: Clock;
  /** The network as it is, to know failures by. */
  readonly network?: (() => NetworkViewState | undefined) | undefined;
  /** Who looks after it. */
  readonly owner: SessionOwner;
  /** Which of its carriers was the last one, in another process. @default {undefined} It begins here. */
  readonly epoch?: number | undefined;
}

/** A carrier whose handshake has come far enough. */
export interface ReadyCarrier {
  /** The connection. */
  readonly link: Link;
  /** Seals and opens; `null` where bytes go as they are. */
  readonly codec: SealedCodec | null;
  /** Which of the session's carriers it is. */
  readonly epoch: number;
  /** Everything before this position was received by the other end. */
  readonly peerReceived: number;
  /** What was acknowledged when the other end was asked for that. @default {what the core takes for it} */
  readonly least?: number | undefined;
  /** At the client: makes CONFIRM, which has to be sent before anything else. */
  readonly confirm?: (() => Uint8Array) | undefined;
  /** At the client: takes what comes until the other end has said something, and gives what is behind it then. */
  readonly intake?: ((bytes: Uint8Array) => Uint8Array | null) | undefined;
  /** What came behind the handshake. */
  readonly rest: Uint8Array;
}

/** How long the last frames of a session may take to leave, in milliseconds. */
const FAREWELL = 2000;

/** How long the other end may say nothing after a handshake, in milliseconds. */
const STAND = 5000;

/** A timer that fires so much later says that our own process slept, in milliseconds. */
const LATE = 100;

/** A session at one end. */
export class Session {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** Its name, 16 bytes. */
  readonly id: Uint8Array;
  /** What it is at heart. */
  readonly core: SessionCore;
  /** What a pipe stands on. */
  readonly link: SessionLink;
  /** Called with everything that happens to it. */
  onEvent: ((event: PipeSessionEvent) => void) | undefined;
  readonly #setup: SessionSetup;
  readonly #clock: Clock;
  #state: SessionState = "suspended";
  #carrier: SessionCarrier | undefined;
  /** The carrier that works until the next one stands. */
  #before: SessionCarrier | undefined;
  #began = false;
  #since: number;
  #suspended = 0;
  #resumes = 0;
  #migrations = 0;
  #timer: Timer | undefined;
  /** When that timer fires, on the monotonic clock. */
  #due = Infinity;
  /** Settled when the carrier stands, or is lost before. */
  #standing: PromiseWithResolvers<void> | undefined;
  #impatient: Timer | undefined;
  /** Whether nothing of it is left. */
  #done = false;
  #expiring: Timer | undefined;
  #hold: Disposable | undefined;
  /** What ended it, where that is not the core's own failure. */
  #cause: { readonly reason: SessionLostReason; readonly why: string; readonly error: unknown } | undefined;
  #error: SessionLost | undefined;

  /** @param setup What is known of it. */
  constructor(setup: SessionSetup) {
    const { core, clock, owner } = setup;
    this.#setup = setup;
    this.#clock = clock;
    this.#since = clock.monotonic();
    this.role = setup.role;
    this.id = setup.id;
    this.core = core;
    this.#epoch = setup.epoch ?? 0;
    this.#began = setup.epoch !== undefined;
    this.link = new SessionLink(this, clock);
    core.onOutput = () => this.#carrier?.wake();
    core.onDeadline = () => this.#arm();
    core.onSuspicion = () => owner.suspicious?.(this);
    core.onAddresses = (urls) => owner.addresses?.(this, urls);
    core.onEnd = () => this.#ended();
    this.#expire();
  }

  /** What it is now. */
  get state(): SessionState {
    return this.#state;
  }

  /** Whether it is closed or lost. */
  get over(): boolean {
    return this.#state === "closed" || this.#state === "lost";
  }

  /** Whether it has a carrier, be it one that does not stand yet. */
  get carried(): boolean {
    return this.#carrier !== undefined;
  }

  /** Whether it needs a carrier and has none. */
  get waits(): boolean {
    return !this.#done && !this.#carrier && (this.#state === "suspended" || this.over && this.core.complete);
  }

  /** What it was lost by. */
  get error(): SessionLost | undefined {
    return this.#error;
  }

  /** Which carrier it is over, or was over last; 0 before the first. */
  get epoch(): number {
    return this.#carrier?.epoch ?? this.#epoch;
  }
  #epoch = 0;

  /** The connection below, or the one that was lost last. */
  get below(): Link | undefined {
    return this.#carrier?.link ?? this.#last;
  }
  #last: Link | undefined;

  /** Since when it has no carrier, on the monotonic clock; `null` where it has one. */
  get suspendedSince(): number | null {
    return this.#state === "suspended" ? this.#since : null;
  }

  /** What an application may know of it, always as it is now. */
  get info(): SessionInfo {
    const { secrecy, peerKey = null, greeting = new Uint8Array(0) } = this.#setup;
    return LiveInfo.of(this, { id: this.id.toHex(), secrecy, peerKey, greeting });
  }

  /** For how many milliseconds it had no carrier, in all. */
  get suspended(): number {
    return this.#suspended +
      (this.#state === "suspended" && this.#began ? this.#clock.monotonic() - this.#since : 0);
  }

  /** How often it moved to another carrier without having lost the one before. */
  get migrations(): number {
    return this.#migrations;
  }

  /** How often it went on after a loss. */
  get resumes(): number {
    return this.#resumes;
  }

  /**
   * Goes on over a carrier, which takes the place of the one before.
   *
   * @param ready The carrier. It is ended where the session is over.
   * @returns Resolves when it stands; rejects when it is lost before. Nobody has to wait for it.
   */
  attach(ready: ReadyCarrier): Promise<void> {
    const { link, codec, epoch, peerReceived, least, confirm, intake, rest } = ready;
    const { promise } = this.#standing = this.#replaceStanding();
    if (this.#done || this.over && !this.core.complete) {
      link.abort();
      this.#fall(this.#error ?? new DOMException("The session is over", "AbortError"));
      return promise;
    }
    this.#before?.abort();
    this.#before = this.#carrier;
    const carrier: SessionCarrier = new SessionCarrier({
      link,
      codec,
      epoch,
      intake: intake && ((bytes) => {
        const left = intake(bytes);
        if (left && this.#carrier === carrier) this.#stands();
        return left;
      }),
      hungry: () => this.link.hungry,
      lost: (one, error) => this.#lost(one, error),
    });
    this.#carrier = carrier;
    this.#epoch = epoch;
    // The first one is believed in: an application that has just connected is not suspended.
    if (!this.#began) this.#open();
    if (intake) this.#expectToStand();
    const attachment = this.core.attach(peerReceived, least);
    // CONFIRM is made with the switch: it says what was received, and nothing more may be acknowledged by the old one.
    carrier.begin(this.#noticing(attachment), rest, confirm?.());
    this.#arm();
    if (!intake && this.#carrier === carrier) this.#stands();
    return promise;
  }

  /**
   * Ends the carrier, which is of no more use although nobody said so.
   *
   * @param error What is known of it.
   */
  drop(error: unknown): void {
    const carrier = this.#carrier;
    if (!carrier) return;
    carrier.abort();
    this.#lost(carrier, error);
  }

  /**
   * Gives the session up.
   *
   * @param reason Why, by name.
   * @param why Why, in the middle of a sentence.
   * @param code The code of ABORT, which the other end gets if it can be reached.
   * @param error What was thrown.
   */
  lose(reason: SessionLostReason, why: string, code: number, error?: unknown): void {
    if (this.over) return;
    this.#cause = { reason, why, error };
    this.core.abort(code, why);
  }

  /** Lets go of everything without a word to the other end, for somebody else to go on with the session. */
  release(): void {
    if (!this.over) this.#state = "closed";
    this.#settle();
  }

  /** Keeps the process alive until it is over: what was sent last is to arrive. */
  hold(): void {
    if (!this.over) this.#hold ??= holdProcess(this.#clock);
  }

  /** Looks after every part that came whether the end of our direction has arrived. */
  #noticing(attachment: Attachment): Attachment {
    return {
      get current() {
        return attachment.current;
      },
      receive: (bytes) => {
        attachment.receive(bytes);
        this.link.notice();
      },
      next: () => {
        const bytes = attachment.next();
        this.link.given();
        return bytes;
      },
      detach: () => attachment.detach(),
    };
  }

  /** Gives a carrier up that does not stand in time; once more where our own process slept, and has not read what is there. */
  #expectToStand(slept = false): void {
    const due = this.#clock.monotonic() + STAND;
    this.#impatient = this.#clock.after(STAND, () => {
      if (!slept && this.#clock.monotonic() - due > LATE) this.#expectToStand(true);
      else this.drop(new TimeoutError(STAND));
    });
  }

  /** There may be no other carrier under way at the same time. */
  #replaceStanding(): PromiseWithResolvers<void> {
    this.#fall(new DOMException("Another connection has taken its place", "AbortError"));
    const standing = Promise.withResolvers<void>();
    standing.promise.catch(() => {});
    return standing;
  }

  /** The carrier will not stand. */
  #fall(error: unknown): void {
    this.#impatient?.cancel();
    this.#standing?.reject(error);
    this.#standing = undefined;
  }

  #open(): void {
    this.#state = "open";
    this.#began = true;
    this.#expiring?.cancel();
  }

  #stands(): void {
    const before = this.#before;
    const from = (before?.link ?? this.#last)?.localAddress;
    this.#before = undefined;
    before?.abort();
    const link = this.#carrier?.link;
    this.#last = link;
    if (!this.over && link) {
      const at = this.#clock.now();
      if (this.#state === "suspended") {
        const after = this.#clock.monotonic() - this.#since;
        this.#suspended += after;
        this.#open();
        this.onEvent?.({ type: "resumed", at, after, resumes: ++this.#resumes });
      } else if (from) {
        this.#migrations++;
        this.onEvent?.({ type: "migrated", at, from, to: link.localAddress });
      }
    }
    this.#impatient?.cancel();
    const standing = this.#standing;
    this.#standing = undefined;
    // Whoever was told may have ended it.
    if (!this.#carrier) return standing?.reject(this.#error);
    standing?.resolve();
    this.#setup.owner.stands?.(this);
  }

  #lost(carrier: SessionCarrier, error: unknown): void {
    if (carrier === this.#before) this.#before = undefined;
    if (carrier !== this.#carrier) return;
    this.#carrier = undefined;
    this.#before?.abort();
    this.#before = undefined;
    this.#last = carrier.link;
    const isEnd = error instanceof CarrierEnd;
    // The server closes the carrier of a session that is complete; anything else may have cost it our last word.
    if (this.over && (isEnd || !this.core.complete)) return this.#settle();
    const network = this.#setup.network?.();
    const typed = lossError(error, "read", carrier.link, network);
    this.#fall(typed);
    this.link.given();
    if (this.over) this.#expire();
    else if (this.#state === "open") {
      this.#state = "suspended";
      this.#since = this.#clock.monotonic();
      this.#expire();
      const failure = typed.failure ?? classify(typed, { operation: "read", network });
      this.onEvent?.({ type: "suspended", at: this.#clock.now(), failure });
    }
    // Whoever was told may have ended it.
    if (!this.#done && !this.#carrier) this.#setup.owner.suspended(this, typed);
  }

  #expire(): void {
    const { expiry } = this.#setup;
    this.#expiring?.cancel();
    this.#expiring = this.#clock.after(expiry, () => {
      this.lose("expired", `it had no connection for ${expiry} ms`, 3);
      if (!this.#carrier) this.#settle();
    });
  }

  #arm(): void {
    const at = this.over ? null : this.core.deadline();
    // A timer that fires too early costs less than one that is set anew with every message.
    if (at === null || this.#timer && this.#due <= at) return;
    this.#timer?.cancel();
    this.#due = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.monotonic()), () => {
      this.#timer = undefined;
      this.core.tick();
      this.#arm();
    });
  }

  /** The core is complete, or lost. */
  #ended(): void {
    if (this.over) return;
    const { failure } = this.core;
    this.#state = failure ? "lost" : "closed";
    if (failure) {
      const { reason, why, error } = this.#cause ?? {
        reason: reasonOfAbort(failure.code),
        why: failure.by === "remote" ? `the other end gave it up: ${failure.reason}` : failure.reason,
        error: undefined,
      };
      this.#error = new SessionLost(why, {
        reason,
        abortCode: this.#cause ? null : failure.code,
        sent: this.core.written,
        acknowledged: Math.min(this.core.acknowledged, this.core.written),
        received: this.link.handed,
        cause: error,
      });
    }
    this.link.over();
    const carrier = this.#carrier;
    const waits = this.role === "client" && !failure;
    // A session that is complete may have to say so over another carrier.
    if (carrier) {
      if (!waits) queueMicrotask(() => void carrier.finish().then(() => this.#settle()));
      // Nobody waits for ever for the last word of the other end, or for ours to leave.
      this.#expiring?.cancel();
      this.#expiring = this.#clock.after(FAREWELL, () => this.#settle());
    }
    this.#setup.owner.ended(this);
    if (!carrier) this.#settle();
  }

  #settle(): void {
    if (this.#done) return;
    this.#done = true;
    this.#carrier?.abort();
    this.#before?.abort();
    this.#carrier = undefined;
    this.#before = undefined;
    this.#timer?.cancel();
    this.#expiring?.cancel();
    this.#fall(this.#error ?? new DOMException("The session is over", "AbortError"));
    this.#hold?.[Symbol.dispose]();
    this.link.gone();
    this.#setup.owner.settled?.(this);
  }
}
