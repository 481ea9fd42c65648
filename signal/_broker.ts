/** The seam between the core, which knows messages and peers, and whatever carries packets: a broker and the link to it. */

import type { Clock } from "../internal/clock.ts";
import type { Logger } from "../internal/log.ts";
import type { NetworkView } from "../internal/network_view.ts";

/** What a {@linkcode Broker} gets from the core when it is opened. */
export interface BrokerOpenOptions {
  /** Ends the link when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /** The network, so that a link waits while there is none and looks at once when it has changed. */
  readonly network?: NetworkView | undefined;
  /** Where failures are told. */
  readonly logger?: Logger | undefined;
}

/** How a link is: `up` means connected and every wanted topic subscribed; `stopped` never comes back by itself. */
export type BrokerState = "connecting" | "up" | "down" | "stopped";

/** One broker, as the core sees it. */
export interface Broker {
  /** Its address, which is its identity; without user name and password. */
  readonly url: string;
  /**
   * Begins to connect, and reconnects until the link is disposed of.
   *
   * @param options What the link is to use.
   * @returns The link, at once; it tells by `onState` when it is up.
   */
  open(options: BrokerOpenOptions): BrokerLink;
}

/** The connection to one broker, over all its reconnects. The broker may lose, repeat, delay and reorder what it carries. */
export interface BrokerLink extends AsyncDisposable {
  /** How it is now. */
  readonly state: BrokerState;
  /** How many bytes a publish may have, `null` where there is no limit. */
  readonly maxPacket: number | null;
  /** The other end's IP address while connected, by which two names of one broker are found out. */
  readonly address?: string | null;
  /**
   * Publishes a packet at QoS 0, and forgets it.
   *
   * @param topic Where to.
   * @param payload The packet; not changed afterwards by the caller.
   * @returns `false` where it could not be handed over: the link is down, or may not send so much at the moment.
   */
  publish(topic: string, payload: Uint8Array): boolean;
  /**
   * Wants a topic. It is subscribed now and after every reconnect, before `up` is told.
   *
   * @param topic The topic, without wildcards.
   */
  subscribe(topic: string): void;
  /**
   * Wants a topic no more.
   *
   * @param topic The topic.
   */
  unsubscribe(topic: string): void;
  /**
   * Sets what the broker publishes when the connection breaks; takes effect with the next connection.
   *
   * @param topic Where to.
   * @param payload The packet.
   */
  setWill?(topic: string, payload: Uint8Array): void;
  /** Looks at once whether the link lives, and connects at once if it does not: the network has changed. */
  probe(): void;
  /** Called for each packet that came. */
  onMessage?: ((topic: string, payload: Uint8Array) => void) | undefined;
  /** Called after each change of `state`. */
  onState?: ((state: BrokerState, reason?: Error) => void) | undefined;
  /** Called when the broker refuses a topic; the others stay. */
  onRefused?: ((topic: string, code: number) => void) | undefined;
}
