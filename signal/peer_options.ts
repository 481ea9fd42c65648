/** What the calls of a peer take and give. */

import type { Clock } from "../internal/clock.ts";
import type { Logger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";
import type { Store } from "../internal/store.ts";
import type { Broker, BrokerState } from "./_broker.ts";
import type { Identity } from "./identity.ts";
import type { AckLevel, OutboxOptions } from "./outbox.ts";

/** What {@linkcode "./peer.ts".joinSignal} takes. */
export interface JoinSignalOptions {
  /** Who this peer is. */
  readonly identity: Identity;
  /** The brokers to use at once, 1 to 8; a peer listens at four of them. */
  readonly brokers: readonly Broker[];
  /**
   * Opens the broker of a contact card that is none of one's own, for example `mqtt`.
   *
   * @default {undefined} Such a recipient is unreachable.
   */
  readonly connect?: ((url: string) => Broker) | undefined;
  /**
   * The network: after a major change all brokers are looked at at once.
   *
   * @default {undefined}
   */
  readonly network?: NetworkView | undefined;
  /**
   * Keeps what is on its way over restarts, and what has been done with. One process at a time may use one.
   *
   * @default {undefined} What is on its way ends with the process.
   */
  readonly store?: Store | undefined;
  /**
   * By how many brokers each message goes at once.
   *
   * @default {3}
   */
  readonly copies?: number;
  /**
   * One copy first, the others only where it is not acknowledged in the usual time: a third of the traffic, and a retransmission
   * time of delay when a broker fails.
   *
   * @default {false}
   */
  readonly hedged?: boolean;
  /** The bounds of the outbox for each recipient. */
  readonly outbox?: OutboxOptions;
  /**
   * Who may write, by id.
   *
   * @default {() => true}
   */
  readonly accept?: ((peer: string) => boolean) | undefined;
  /**
   * Tells everybody who knows the id once a minute that the peer is there.
   *
   * @default {true}
   */
  readonly announce?: boolean;
  /**
   * Where failures are told; each of a broker once.
   *
   * @default {undefined} The process-wide logger.
   */
  readonly logger?: Logger | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Source of chance for jitter, from 0 to below 1. Keys never come from it.
   *
   * @default {Math.random}
   */
  readonly random?: () => number;
}

/** How a message is sent. */
export interface SendOptions {
  /**
   * How many milliseconds there are to deliver it.
   *
   * @default {60_000}
   */
  readonly ttl?: number;
  /**
   * Which of the streams to the recipient, 0 to 7; messages of one do not wait for those of another.
   *
   * @default {0}
   */
  readonly stream?: number;
  /**
   * Whether it waits for the ones before it in its stream.
   *
   * @default {true}
   */
  readonly ordered?: boolean;
  /**
   * When it counts as delivered: the recipient has it, or its application has done with it.
   *
   * @default {"accepted"}
   */
  readonly ack?: AckLevel;
  /**
   * What to do when the outbox is full: wait until there is room (at most 1,024 calls do, the others reject), or reject.
   *
   * @default {"wait"}
   */
  readonly full?: "wait" | "reject";
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
}

/** Proof that a message has arrived. */
export interface Receipt {
  /** The recipient's id. */
  readonly to: string;
  /** The addresses of the brokers that have delivered it, as far as the recipient had seen when it said so. */
  readonly brokers: readonly string[];
  /** Milliseconds from sending to the acknowledgement. */
  readonly milliseconds: number;
  /** How often it was sent; 1 where nothing had to be repeated. */
  readonly attempts: number;
}

/** What to do with messages, and with a handler that fails. */
export interface HandleOptions {
  /**
   * What becomes of a message on which the handler throws: it counts as done with, or the handler gets it again, after 1 s and then
   * ever later up to a minute, while the messages behind it wait.
   *
   * @default {"acknowledge"}
   */
  readonly failed?: "acknowledge" | "redeliver";
}

/** What is known of a peer's presence: `suspect` means that one way to it is gone, not all. */
export type Presence = "unknown" | "online" | "suspect" | "offline";

/** One broker, as a peer sees it. */
export interface BrokerStatus {
  /** Its address. */
  readonly url: string;
  /** How the link is. */
  readonly state: BrokerState;
  /** Why it is not up, where that is known. */
  readonly reason: Error | undefined;
  /** Who runs it, as far as it shows. */
  readonly operator: string;
  /** How many packets it took. */
  readonly published: number;
  /** How many packets came by it. */
  readonly received: number;
}

/** One other peer, as a peer sees it. */
export interface PeerStatus {
  /** Its id. */
  readonly id: string;
  /** Messages on their way to it. */
  readonly outbox: number;
  /** Bytes on their way to it. */
  readonly bytes: number;
  /** The smoothed round-trip time in milliseconds, acknowledgement delay included; `null` before the first. */
  readonly roundTrip: number | null;
  /** How well each broker delivers to it, by address, from 0 to 1; 0.5 where nothing is known. */
  readonly paths: Readonly<Record<string, number>>;
  /** Whether it is there. */
  readonly presence: Presence;
}

/** What a peer says about itself. */
export interface SignalStatus {
  /** Its id. */
  readonly id: string;
  /** Its brokers. */
  readonly brokers: readonly BrokerStatus[];
  /** How many operators run those that are up: what fails together counts once. */
  readonly operators: number;
  /** The peers it talks to. */
  readonly peers: readonly PeerStatus[];
  /** Packets that came to nothing, by the reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** What a peer tells. */
export type SignalEvent =
  | {
    /** The link to a broker has changed. */
    readonly type: "broker";
    readonly url: string;
    readonly state: BrokerState;
    readonly reason: Error | undefined;
  }
  | {
    /** A broker refuses a topic; the others stay. */
    readonly type: "refused";
    readonly url: string;
    readonly topic: string;
    readonly code: number;
  }
  | {
    /** A watched peer came, went, or may have gone. */
    readonly type: "presence";
    readonly peer: string;
    readonly presence: Presence;
  }
  | {
    /** In place of events that were lost. */
    readonly type: "resync";
    readonly status: SignalStatus;
  };
