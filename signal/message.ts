/** A message as its recipient gets it. */

import type { Receipt, SendOptions } from "./peer_options.ts";

/** What a message is made of; for the peer's own use. */
export interface MessageFields {
  /** The sender's id. */
  readonly from: string;
  /** A name that no other message has. */
  readonly id: string;
  /** The content. */
  readonly data: Uint8Array;
  /** The sender's stream. */
  readonly stream: number;
  /** Whether its sender waits for an answer. */
  readonly isRequest: boolean;
  /** Sends the answer. */
  readonly reply: (data: Uint8Array | string, options?: SendOptions) => Promise<Receipt>;
}

/**
 * A message from another peer, who is who it says.
 *
 * @example
 * ```ts
 * import { Message } from "@holdfast/net/signal";
 * import { assertEquals } from "@std/assert";
 *
 * const data = new TextEncoder().encode('{"hello":1}');
 * const message = new Message({ from: "anna", id: "1", data, stream: 0, isRequest: false, reply: Promise.reject });
 * assertEquals(message.json(), { hello: 1 });
 * ```
 */
export class Message {
  /** The sender's id. */
  readonly from: string;
  /** A name that no other message has. */
  readonly id: string;
  /** The content. */
  readonly data: Uint8Array;
  /** The sender's stream. */
  readonly stream: number;
  /** Whether its sender waits for an answer. */
  readonly isRequest: boolean;
  readonly #reply: MessageFields["reply"];

  /**
   * Makes a message.
   *
   * @param fields What it is made of.
   */
  constructor(fields: MessageFields) {
    this.from = fields.from;
    this.id = fields.id;
    this.data = fields.data;
    this.stream = fields.stream;
    this.isRequest = fields.isRequest;
    this.#reply = fields.reply;
  }

  /**
   * The content as text.
   *
   * @throws {TypeError} Where it is no UTF-8.
   */
  text(): string {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.data);
  }

  /**
   * The content as JSON.
   *
   * @throws {SyntaxError} Where it is none.
   */
  json(): unknown {
    return JSON.parse(this.text());
  }

  /**
   * Answers: what the sender's `request()` gives, or a message to it where it does not wait for one.
   *
   * @param data The answer.
   * @param options How it is sent.
   * @returns Resolves when the sender has it.
   */
  reply(data: Uint8Array | string, options?: SendOptions): Promise<Receipt> {
    return this.#reply(data, options);
  }
}
