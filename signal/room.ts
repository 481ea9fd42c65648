/** Rooms: everybody who knows a name and a secret, and messages to all of them. */

import type { EventOf } from "../internal/events.ts";
import type { Place } from "./_notice.ts";
import type { DeliveryError } from "./delivery_error.ts";
import type { Message } from "./message.ts";
import type { HandleOptions, Receipt, SendOptions } from "./peer_options.ts";

/** How a room is entered: by its secret, or by what was made of it before. */
export interface RoomOptions {
  /**
   * The secret that all members know. Stretching it takes a quarter of a second and 64 MiB.
   *
   * @default {undefined} `place` is needed.
   */
  readonly secret?: string;
  /**
   * What `roomPlace()` made of name and secret; then nothing is stretched.
   *
   * @default {undefined}
   */
  readonly place?: Place;
}

/** What became of a message to a room. */
export interface RoomReceipt {
  /** One receipt for each member that has it. */
  readonly delivered: readonly Receipt[];
  /** One error for each member that has not. */
  readonly failed: readonly DeliveryError[];
}

/** What happens in a room. */
export type RoomEvent =
  | {
    /** Somebody came or left. */
    readonly type: "join" | "leave";
    readonly peer: string;
  }
  | {
    /** In place of events that were lost. */
    readonly type: "resync";
    readonly members: readonly string[];
  };

/** A room that a peer is in. Its messages come here, and not to the peer's own reader. */
export interface Room extends AsyncIterable<Message>, AsyncDisposable {
  /** Its name. */
  readonly name: string;
  /** The ids of the others in it, as far as they are known, in order. */
  readonly members: readonly string[];
  /**
   * Sends to all members that are known, to each over a channel of its own: who sends cannot be made up by another member.
   *
   * @param data What to send.
   * @param options Until when, and when it counts as delivered.
   * @returns Resolves when it is decided for each member; never rejects for a member that cannot be reached.
   */
  send(data: Uint8Array | string, options?: SendOptions): Promise<RoomReceipt>;
  /**
   * Calls a handler for each message of the room, those of one member one after the other.
   *
   * @param handler What to call; a promise it returns is waited for.
   * @param options What becomes of a message on which it fails.
   */
  handle(handler: (message: Message) => unknown, options?: HandleOptions): Disposable;
  /**
   * Calls a handler for each event of a type.
   *
   * @param type The type.
   * @param handler What to call.
   */
  on<T extends RoomEvent["type"]>(type: T, handler: (event: EventOf<RoomEvent, T>) => void): Disposable;
  /** Leaves it. */
  close(): Promise<void>;
}
