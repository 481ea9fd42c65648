/** What outlives the process: messages on their way, numbers that were used, and what has been done with. */

import { ascii, concat } from "../internal/crypto.ts";
import { HoldfastError } from "../internal/errors.ts";
import type { Store } from "../internal/store.ts";
import type { StreamRecord } from "./_receiving.ts";
import type { AckLevel, OutboxEntry } from "./outbox.ts";
import type { MessageKind } from "./_delivery_frames.ts";

/** How many numbers of a stream are taken at once: after a restart the rest of them is skipped. */
const BLOCK = 1024;

/** A message that was on its way. */
export interface KeptMessage {
  readonly to: string;
  readonly stream: number;
  readonly seq: number;
  readonly kind: MessageKind;
  readonly ref: number;
  readonly level: AckLevel;
  /** Milliseconds it had when it was sent; time in which no process runs does not count. */
  readonly ttl: number;
  readonly data: Uint8Array;
}

/** The records of one identity in a store. */
export class Keeping {
  readonly #store: Store;
  readonly #prefix: string;
  /** Up to which number each stream's are taken, by `peer stream`. */
  readonly #taken = new Map<string, number>();
  readonly #taking = new Map<string, Promise<void>>();

  constructor(store: Store, id: string) {
    this.#store = store;
    this.#prefix = `signal/${id}/`;
  }

  /** The session that messages are numbered in, the same as in earlier lives. */
  async session(fresh: string): Promise<string> {
    const key = `${this.#prefix}session`;
    if (await this.#store.compareAndSet(key, undefined, ascii(fresh))) return fresh;
    return text(await this.#store.get(key));
  }

  /** What earlier lives have left. */
  async read(): Promise<
    {
      messages: KeptMessage[];
      streams: [peer: string, StreamRecord][];
      next: [peer: string, stream: number, number][];
    }
  > {
    const messages: KeptMessage[] = [];
    const streams: [string, StreamRecord][] = [];
    const next: [string, number, number][] = [];
    for await (const [key, value] of this.#store.list(this.#prefix)) {
      const [what, peer = "", a = "", b = ""] = key.slice(this.#prefix.length).split("/");
      if (what === "out") messages.push(decodeMessage(peer, Number(a), Number(b), value));
      if (what === "in") streams.push([peer, decodeStream(a, Number(b), value)]);
      if (what === "next") {
        next.push([peer, Number(a), Number(text(value))]);
        this.#taken.set(`${peer} ${a}`, Number(text(value)));
      }
    }
    return { messages, streams, next };
  }

  /** Keeps a message, and that its numbers are used. */
  async keep(to: string, entry: OutboxEntry, ttl: number): Promise<void> {
    await this.#take(to, entry.stream, entry.seq + entry.fragments.length);
    await this.#store.set(this.#keyOf(to, entry), encodeMessage(entry, ttl));
  }

  /** Forgets a message: it is delivered, or will not be. */
  forget(to: string, entry: OutboxEntry): Promise<void> {
    return this.#store.delete(this.#keyOf(to, entry));
  }

  /** Keeps what of a stream is done with. */
  keepStream(from: string, record: StreamRecord): Promise<void> {
    const value = concat(ascii(String(record.next).padStart(16, "0")), record.bits);
    return this.#store.set(`${this.#prefix}in/${from}/${record.session}/${record.stream}`, value);
  }

  /** Two processes must not use the same numbers, so each takes them with one step that nobody gets between. */
  #take(to: string, stream: number, until: number): Promise<void> {
    const name = `${to} ${stream}`;
    const work = (this.#taking.get(name) ?? Promise.resolve()).then(() => {
      const taken = this.#taken.get(name);
      if (taken !== undefined && until <= taken) return;
      return this.#takeBlock(`${this.#prefix}next/${to}/${stream}`, name, taken, until + BLOCK);
    });
    this.#taking.set(name, work.catch(() => {}));
    return work;
  }

  async #takeBlock(key: string, name: string, taken: number | undefined, next: number): Promise<void> {
    const before = taken === undefined ? undefined : ascii(String(taken));
    if (!await this.#store.compareAndSet(key, before, ascii(String(next)))) {
      throw new HoldfastError("Cannot send: another process uses the same store for the same identity", {
        code: "store-shared",
        operation: "send",
        hint: "Give each process a store of its own",
      });
    }
    this.#taken.set(name, next);
  }

  #keyOf(to: string, { stream, seq }: OutboxEntry): string {
    // In the order of their numbers when listed.
    return `${this.#prefix}out/${to}/${stream}/${String(seq).padStart(16, "0")}`;
  }
}

function encodeMessage({ kind, ref, level, data }: OutboxEntry, ttl: number): Uint8Array {
  const head = ascii(JSON.stringify({ kind, ref, level, ttl }));
  return concat(Uint8Array.of(head.length), head, data);
}

function decodeMessage(to: string, stream: number, seq: number, value: Uint8Array): KeptMessage {
  const at = 1 + (value[0] ?? 0);
  return { ...JSON.parse(text(value.subarray(1, at))), to, stream, seq, data: value.subarray(at) };
}

function decodeStream(session: string, stream: number, value: Uint8Array): StreamRecord {
  return { session, stream, next: Number(text(value.subarray(0, 16))), bits: value.subarray(16) };
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}
