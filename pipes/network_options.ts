/** What a pipe does when its network changes, or its connection is lost. */

import type { RetryOptions } from "../recover/retry.ts";
import type { Pipe, PipeAddressLostEvent, PipeEventOf, PipeNetworkEvent } from "./pipe.ts";

/**
 * What a pipe does: goes on (`keep`), goes on over a new connection (`reconnect`), or ends with an error (`close`). A pipe
 * that cannot connect again, as one that was accepted, closes instead of reconnecting.
 */
export type NetworkReaction = "keep" | "reconnect" | "close";

/** An event that a pipe can react to. */
export type PathEvent = PipeNetworkEvent | PipeAddressLostEvent;

/**
 * What a pipe does after an event: always the same, or what a function says, called after the handlers of the event. Where it
 * says nothing, or throws, the default counts.
 */
export type NetworkPolicy<T extends PathEvent["type"] = PathEvent["type"]> =
  | NetworkReaction
  | ((event: PipeEventOf<T>, pipe: Pipe) => NetworkReaction | void);

/** What a pipe does after each event of its own path. */
export interface NetworkPolicies {
  /**
   * The address that the pipe uses on this machine is gone. The system keeps such a connection in silence, and the other end
   * hears nothing of it.
   *
   * @default `"reconnect"` where the pipe can and messages stay whole or `reconnect` was asked for; else `"close"`
   */
  readonly addresslost?: NetworkPolicy<"addresslost">;
  /**
   * There is no way to the public network any more.
   *
   * @default {"keep"}
   */
  readonly offline?: NetworkPolicy<"offline">;
  /**
   * There is a way to the public network again.
   *
   * @default {"keep"}
   */
  readonly online?: NetworkPolicy<"online">;
  /**
   * The gateway is another one.
   *
   * @default {"keep"}
   */
  readonly gatewaychange?: NetworkPolicy<"gatewaychange">;
  /**
   * The default route leads through another interface.
   *
   * @default {"keep"}
   */
  readonly defaultinterfacechange?: NetworkPolicy<"defaultinterfacechange">;
  /**
   * The interface that the pipe uses got or lost an address, or the pipe's own one changed its kind.
   *
   * @default {"keep"}
   */
  readonly addresschange?: NetworkPolicy<"addresschange">;
  /**
   * The machine woke from sleep.
   *
   * @default {"keep"}
   */
  readonly wake?: NetworkPolicy<"wake">;
}

/** How a pipe finds out that nobody is at the other end any more, although no error says so. */
export interface PipeHeartbeat {
  /**
   * Asks the other end for a sign of life, and resolves when it has come. Every message that is received is one as well. The
   * signal is aborted when nobody waits for it any more.
   */
  readonly ping: (pipe: Pipe, signal: AbortSignal) => Promise<void>;
  /**
   * How long the other end may be quiet before it is asked, in milliseconds.
   *
   * @default {15_000}
   */
  readonly interval?: number;
  /**
   * How long the answer may take, in milliseconds. After that the pipe is suspect, and after another ping without an answer
   * its connection is lost.
   *
   * @default three times the smoothed round-trip time, at least 2000
   */
  readonly timeout?: number;
}

/** How a pipe that connected connects again. */
export interface ReconnectOptions {
  /**
   * Whether a lost connection is replaced by a new one. Meanwhile the pipe is `waiting`, and what is sent waits in it.
   *
   * The pipe starts afresh, there is no resumption: what was on its way may be lost. Messages stay whole: of those that come
   * in, one that broke off is dropped; those that were not sent yet are sent over the new connection, and those that were
   * being written are written again, so one of them may arrive twice. Without `framing`, a stream of bytes has no messages:
   * what was being written is dropped, and nobody knows where. After every connection `up` is told, which is the place to log
   * on, and to send again what was not answered.
   *
   * A clean end is no loss: it is the only word that a stream has for "that was all", and who connected again on it would ask
   * for the same thing over and over. The system ends the connections of a server that is stopped or killed in the same way,
   * as long as nothing lay there unread. Who knows that only this can be the reason connects anew when `end` is told; a
   * framing with a goodbye, and the codes of WebSocket, tell both apart. A loss after one direction was closed on purpose is
   * not replaced either.
   *
   * `true` tries as often as it takes, unless trying is of no use; given `network`, not while there is none, and within 200 ms
   * of its return. Options say how long instead. `false` never connects again, whatever `onNetwork` says.
   *
   * @default {undefined} Only where `onNetwork` says so, or by default when the own address is gone.
   */
  readonly reconnect?: boolean | RetryOptions | undefined;
}
