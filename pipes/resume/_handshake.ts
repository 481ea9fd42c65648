/**
 * What both ends of a handshake share: what they are told, what they say, the transcript, and the bytes as they come.
 *
 * {@linkcode ClientHandshake} and {@linkcode ServerHandshake} are pure: bytes in, bytes and one decision out. Their
 * caller moves the bytes, keeps the time (5 seconds), and closes the carrier where they failed.
 */

import type { Terms } from "./_handshake_frames.ts";
import type { SealedCodec } from "./_seal.ts";

/** Both secrets of a session. */
export interface SessionKeys {
  /** What the client proves itself by. */
  readonly clientKey: Uint8Array;
  /** What the server proves itself by. */
  readonly serverKey: Uint8Array;
}

/** A session that was just agreed on. */
export interface NewSession extends SessionKeys {
  /** Its name, 16 bytes. */
  readonly id: Uint8Array;
  /** What both keep to. */
  readonly terms: Terms;
}

/** An Ed25519 key that an end of a sealed carrier shows. */
export interface SealIdentity {
  /** The private key, 32 bytes. */
  readonly seed: Uint8Array;
  /** The public key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** How a client knows the server of a sealed carrier: at least one of both. */
export interface ClientSeal {
  /** 32 bytes that only both ends know. */
  readonly sharedKey?: Uint8Array | undefined;
  /** The server must show one of these Ed25519 public keys. */
  readonly serverKeys?: readonly Uint8Array[] | undefined;
  /** Who the client is. */
  readonly identity?: SealIdentity | undefined;
}

/** Who the server of a sealed carrier is, at least one of the first two, and whom it lets in. */
export interface ServerSeal {
  /** 32 bytes that only both ends know. */
  readonly sharedKey?: Uint8Array | undefined;
  /** Who the server is. */
  readonly identity?: SealIdentity | undefined;
  /**
   * Whether a client may come in: the Ed25519 public key that it has proven to own, or `null` where it showed none.
   * Needed where there is no shared key; by default everybody who knows that may.
   */
  readonly admit?: ((client: Uint8Array | null) => boolean) | undefined;
}

/** What a server answers instead of going on. */
export interface Rejection {
  /** Why: one of the codes of docs/PROTOCOLS.md, "Refusal". */
  readonly code: number;
  /** How many milliseconds to wait before the next attempt. @default {0} */
  readonly wait?: number | undefined;
  /** For people, or the URL of another server; at most 1,024 bytes. @default {""} */
  readonly text?: string | undefined;
}

/**
 * Why a handshake came to nothing:
 *
 * - `foreign`: the other end speaks something else
 * - `mode`: one end is sealed, the other open
 * - `version`: no version in common
 * - `violation`: it speaks this protocol wrongly
 * - `proof`: it does not have the keys of the session
 * - `seal`: the carrier's secrets differ: another shared key, or somebody in between
 * - `identity`: it is not the server that was pinned, or not a client that is let in
 * - `rejected`: the server refused; `rejection` says why
 */
export type HandshakeFailureReason =
  | "foreign"
  | "mode"
  | "version"
  | "violation"
  | "proof"
  | "seal"
  | "identity"
  | "rejected";

/** Why a handshake came to nothing. It never ends a session, only the carrier. */
export interface HandshakeFailure {
  /** By name. */
  readonly reason: HandshakeFailureReason;
  /** For people, in the middle of a sentence. Holds no secret. */
  readonly message: string;
  /** What the server said, where the reason is `rejected`. A code that needs a proof and has none is 1. */
  readonly rejection?: Required<Rejection>;
}

/** Nothing to decide yet. */
export interface WaitStep {
  /** More bytes are needed. */
  readonly type: "wait";
  /** What to send now. */
  readonly send: Uint8Array | null;
}

/** The handshake came to nothing: send, then close the carrier. */
export interface FailedStep {
  /** It failed. */
  readonly type: "failed";
  /** What to send before the carrier is closed. */
  readonly send: Uint8Array | null;
  /** Why. */
  readonly failure: HandshakeFailure;
}

/** What a client does next. */
export type ClientStep = WaitStep | ReadyStep | StandsStep | FailedStep;

/** The server has proven itself: send CONFIRM, then frames. Whether the carrier stands is known by `stands`. */
export interface ReadyStep {
  /** Frames may be sent. */
  readonly type: "ready";
  /**
   * CONFIRM; goes before everything else. It is made when it is asked for, and from then on nothing may be sent over the
   * carrier before: an ACK that left behind it there would say more than CONFIRM.
   */
  readonly send: Uint8Array;
  /** The session, where it is a new one. */
  readonly session: NewSession | null;
  /** Everything before this position was received by the server: sending starts there. */
  readonly peerReceived: number;
  /** Seals and opens everything from now on; `null` on an open carrier. */
  readonly codec: SealedCodec | null;
}

/** The server has sent a frame after CONFIRM: the carrier is the current one, and that before can be closed. */
export interface StandsStep {
  /** The handshake is over. */
  readonly type: "stands";
  /** What came behind the handshake, opened, from the first frame on. */
  readonly rest: Uint8Array;
}

/** What a server does next. */
export type ServerStep = WaitStep | WelcomedStep | ConfirmedStep | FailedStep;

/** A session was offered: keep it, with epoch 0, and show it to nobody before it is confirmed. */
export interface WelcomedStep {
  /** A session was offered. */
  readonly type: "welcomed";
  /** WELCOME. Keep the session before this is sent. */
  readonly send: Uint8Array;
  /** The session. */
  readonly session: NewSession;
  /** What the client sent for the application. */
  readonly greeting: Uint8Array;
  /** The key that the client of a sealed carrier has proven to own. */
  readonly client: Uint8Array | null;
}

/** The client has proven itself: this carrier is the current one from now on, the one before is closed. */
export interface ConfirmedStep {
  /** The handshake is over. */
  readonly type: "confirmed";
  /** The session's name, 16 bytes. */
  readonly id: Uint8Array;
  /** The carrier's epoch, to be kept as that of the session. */
  readonly epoch: number;
  /** Whether HELLO began it, not RESUME. */
  readonly isNew: boolean;
  /** Everything before this position was received by the client: sending starts there. */
  readonly peerReceived: number;
  /** Seals and opens everything from now on; `null` on an open carrier. */
  readonly codec: SealedCodec | null;
  /** The key that the client of a sealed carrier has proven to own. */
  readonly client: Uint8Array | null;
  /** What came behind the handshake, opened. */
  readonly rest: Uint8Array;
}

/** A session as a server knows it. */
export interface KnownSession extends SessionKeys {
  /** The epoch of the current carrier or the last one; 0 where none was confirmed yet. Read again at CONFIRM. */
  readonly epoch: number;
  /** Everything before this position was received. */
  received(): number;
  /** What a client that has the keys is told instead of going on. */
  readonly rejection?: Rejection | undefined;
}
