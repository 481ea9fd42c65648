/** What goes into secure channels, and what comes out. */

import type { RandomBytes } from "../internal/crypto.ts";
import type { SizeClass } from "./envelope.ts";
import type { Identity } from "./identity.ts";

/** What channels are made with. */
export interface SecureChannelsOptions {
  /** Who this peer is. */
  readonly identity: Identity;
  /** The monotonic time, in milliseconds. */
  readonly now: () => number;
  /** Random bytes. */
  readonly random: RandomBytes;
  /**
   * Who may have a channel, by id. It is asked when the other peer begins.
   *
   * @default {() => true}
   */
  readonly accept?: ((peer: string) => boolean) | undefined;
  /**
   * The content of the first packet of each channel that this peer has begun, by the id of the other one.
   *
   * @default {() => new Uint8Array()}
   */
  readonly greeting?: ((peer: string) => Uint8Array) | undefined;
  /**
   * How many peers are remembered. Above it, the one that was heard longest ago is forgotten.
   *
   * @default {1024}
   */
  readonly maxPeers?: number | undefined;
}

/** Bytes for a topic: the same for all brokers. */
export interface Packet {
  /** Whom it is for. */
  readonly to: string;
  /** Where it is published. */
  readonly topic: string;
  /** What is published. */
  readonly bytes: Uint8Array;
}

/** Why a packet came to nothing. */
export type DropReason =
  /** It has none of the sizes. */
  | "size"
  /** It is of another version. */
  | "version"
  /** It is of no kind that belongs here. */
  | "kind"
  /** It is on the topic of somebody else. */
  | "topic"
  /** Its token belongs to no channel. */
  | "unknown"
  /** It is not what the other peer has made for this one. */
  | "forged"
  /** It is a handshake that was read before. */
  | "repeated"
  /** Its number is too far back to know whether it came before. */
  | "old"
  /** Both have begun, and this peer leads. */
  | "follows"
  /** Too many peers begin at once. */
  | "busy"
  /** This peer wants nothing from that one. */
  | "unwanted";

/** What came of a packet. */
export type Received =
  /** The content of a packet. `isFirst`: the other peer's first one on a channel that it has begun. */
  | {
    readonly type: "opened";
    readonly from: string;
    readonly channel: string;
    readonly number: number;
    readonly content: Uint8Array;
    readonly isFirst: boolean;
  }
  /** A packet that came before, on this path or another one. */
  | { readonly type: "copy"; readonly from: string; readonly channel: string; readonly number: number }
  /** Somebody has begun: to be sent. */
  | { readonly type: "answer"; readonly to: string; readonly send: Packet }
  /** The channel that this peer has begun is there; to be sent: its first packet, the greeting. */
  | { readonly type: "established"; readonly with: string; readonly channel: string; readonly send: Packet }
  /** Nothing. */
  | { readonly type: "dropped"; readonly reason: DropReason };

/** What may be chosen about a packet that is sealed. */
export interface SealOptions {
  /** The channel; by default the latest one. An acknowledgement belongs on the channel of what it acknowledges. */
  readonly channel?: string | undefined;
  /**
   * How large the packet is at least, in bytes.
   *
   * @default {256}
   */
  readonly size?: SizeClass | undefined;
}
