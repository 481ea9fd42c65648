/** A peer, as the application has it. */

import type { EventOf } from "../internal/events.ts";
import type { Message } from "./message.ts";
import type {
  HandleOptions,
  Presence,
  Receipt,
  SendOptions,
  SignalEvent,
  SignalStatus,
} from "./peer_options.ts";
import type { Room, RoomOptions } from "./room.ts";

/** A peer on the air. Disposing of it ends it. */
export interface SignalPeer extends AsyncIterable<Message>, AsyncDisposable {
  /** Its id. */
  readonly id: string;
  /**
   * Sends a message.
   *
   * @param to The recipient: its id, or its contact card.
   * @param data What to send, at most 262,144 bytes.
   * @param options Until when, in which stream, and when it counts as delivered.
   * @returns Resolves when the recipient has it; rejects with a {@linkcode "./delivery_error.ts".DeliveryError} by the deadline at the latest.
   * @throws {TypeError} Where the recipient is neither an id nor a card.
   * @throws {RangeError} Where the message is too long.
   */
  send(to: string, data: Uint8Array | string, options?: SendOptions): Promise<Receipt>;
  /**
   * Asks, and waits for the answer.
   *
   * @param to The recipient: its id, or its contact card.
   * @param data The question.
   * @param options Until when the answer has to be there, and how the question is sent.
   * @returns The answer.
   */
  request(to: string, data: Uint8Array | string, options?: SendOptions): Promise<Message>;
  /**
   * Calls a handler for each message; those of one ordered stream one after the other. One reader or one handler at a time.
   *
   * @param handler What to call; a promise it returns is waited for.
   * @param options What becomes of a message on which it fails.
   * @returns The registration; disposing of it ends the calls, and what has not been handled waits for the next reader.
   */
  handle(handler: (message: Message) => unknown, options?: HandleOptions): Disposable;
  /**
   * Enters a room: everybody who knows its name and its secret.
   *
   * @param name The name.
   * @param options The secret.
   * @returns The room; leaving it is disposing of it.
   */
  enter(name: string, options: RoomOptions): Promise<Room>;
  /**
   * Follows somebody's presence: each change is an event.
   *
   * @param peer The id.
   * @returns The interest; disposing of it ends it.
   */
  watch(peer: string): Disposable;
  /** What is known of a watched peer's presence. */
  presence(peer: string): Presence;
  /** How brokers and conversations are. */
  status(): SignalStatus;
  /**
   * Calls a handler for each event of a type.
   *
   * @param type The type.
   * @param handler What to call.
   * @returns The registration; disposing of it ends the calls.
   */
  on<T extends SignalEvent["type"]>(type: T, handler: (event: EventOf<SignalEvent, T>) => void): Disposable;
  /** Ends it: what is on its way rejects, and is kept where there is a store. */
  close(): Promise<void>;
}
