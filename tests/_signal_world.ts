/** Peers and brokers in virtual time, and what has to be true of everything they were given to carry. */

import { assertEquals } from "@std/assert";
import { inboxTopic } from "../signal/_topics.ts";
import { Identity } from "../signal/identity.ts";
import type { Message } from "../signal/message.ts";
import { joinSignal } from "../signal/peer.ts";
import type { JoinSignalOptions, Receipt, SendOptions } from "../signal/peer_options.ts";
import type { SignalPeer } from "../signal/signal_peer.ts";
import { type FakeSignalBroker, SignalBrokers } from "../testing/signal_broker.ts";
import { chance } from "./_chance.ts";
import { scale, seed as runSeed } from "./_require.ts";
import { VirtualTime } from "./_virtual_time.ts";

/** How a message ended. */
export type Outcome =
  | { readonly type: "waiting" }
  | { readonly type: "delivered"; readonly receipt: Receipt; readonly at: number }
  | { readonly type: "failed"; readonly error: unknown; readonly at: number };

/** Some brokers, and peers on them. */
export class SignalWorld implements AsyncDisposable {
  readonly clock: VirtualTime = new VirtualTime();
  readonly brokers: SignalBrokers;
  readonly random: () => number;
  readonly #peers: SignalPeer[] = [];
  readonly #seed: number;

  constructor(brokers: number, seed: number) {
    this.#seed = seed;
    this.random = chance(1000 * brokers + seed);
    this.brokers = new SignalBrokers(brokers, { clock: this.clock, seed: runSeed() * 1009 + seed });
  }

  /** A broker by its number, from 0. */
  broker(i: number): FakeSignalBroker {
    const broker = this.brokers.all[i];
    if (!broker) throw new RangeError(`Cannot find broker ${i}`);
    return broker;
  }

  /** The same identity for the same name and seed. */
  identity(name: string): Identity {
    const bytes = new Uint8Array(32).fill(this.#seed + 1);
    bytes.set(new TextEncoder().encode(name).subarray(0, 16), 8);
    return new Identity(bytes);
  }

  /** Where somebody is written to. */
  topicOf(name: string): string {
    return inboxTopic(this.identity(name).publicKey);
  }

  async join(name: string, options: Partial<JoinSignalOptions> = {}): Promise<SignalPeer> {
    const peer = await joinSignal({
      identity: this.identity(name),
      brokers: this.brokers.all,
      clock: this.clock,
      random: this.random,
      ...options,
    });
    this.#peers.push(peer);
    return peer;
  }

  /** Two peers who have spoken to each other. */
  async pair(options: Partial<JoinSignalOptions> = {}): Promise<[SignalPeer, SignalPeer]> {
    return [await this.join("anna", options), await this.join("bob", options)];
  }

  /** Lets time pass. */
  pass(milliseconds: number): Promise<void> {
    return this.clock.run(this.clock.monotonic() + milliseconds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) await peer.close();
    await this.clock.settle();
    for (const broker of this.brokers.all) broker.kill();
    assertEquals(this.clock.pending, 0, "no timer is left");
    assertEquals(this.brokers.open, 0, "no link is left");
  }
}

/** What a peer received, in its order. */
export class Received {
  readonly texts: string[] = [];
  readonly times: number[] = [];

  constructor(world: SignalWorld, peer: SignalPeer, each?: (message: Message) => unknown) {
    peer.handle((message) => {
      this.texts.push(message.text());
      this.times.push(world.clock.monotonic());
      return each?.(message);
    });
  }

  /** The longest time in which nothing came, after the first. */
  get longestGap(): number {
    return this.times.reduce((gap, time, i) => Math.max(gap, time - (this.times[i - 1] ?? time)), 0);
  }
}

/** Numbered messages on their way, and how each ended. */
export class Stream {
  readonly sent: string[] = [];
  readonly outcomes: Outcome[] = [];
  readonly #world: SignalWorld;
  readonly #from: SignalPeer;
  readonly #to: string;
  readonly #options: SendOptions;

  constructor(world: SignalWorld, from: SignalPeer, to: string, options: SendOptions = {}) {
    this.#world = world;
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  get delivered(): number {
    return this.outcomes.filter(({ type }) => type === "delivered").length;
  }

  get failed(): unknown[] {
    return this.outcomes.flatMap((outcome) => outcome.type === "failed" ? [outcome.error] : []);
  }

  /** Sends one more, without waiting for it. */
  send(text = `message ${this.sent.length}`, options: SendOptions = {}): void {
    const i = this.sent.push(text) - 1;
    const { clock } = this.#world;
    this.outcomes[i] = { type: "waiting" };
    this.#from.send(this.#to, text, { ...this.#options, ...options }).then(
      (receipt) => this.outcomes[i] = { type: "delivered", receipt, at: clock.monotonic() },
      (error) => this.outcomes[i] = { type: "failed", error, at: clock.monotonic() },
    );
  }

  /** Sends some, with time between them. */
  async sendMany(count: number, every: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.send();
      if (every > 0) await this.#world.pass(every);
    }
  }

  /** Each message once, in order, and its sender knows. */
  assertExact(received: Received, message?: string): void {
    assertEquals(received.texts.length, this.sent.length, message);
    assertEquals(received.texts, this.sent, message);
    assertEquals(this.delivered, this.sent.length, message);
  }
}

/** What a scenario gets. */
export interface ScenarioRun {
  readonly world: SignalWorld;
  /** How many brokers there are. */
  readonly brokers: number;
}

/** How a scenario is run. */
export interface ScenarioOptions {
  /**
   * With how many brokers.
   *
   * @default {[1, 2, 3, 4]}
   */
  readonly brokers?: readonly number[];
  /** How many seeds for each; by default 20 in the soak run, fewer in the normal one. */
  readonly seeds?: number;
}

/**
 * Registers a test that plays a scenario with 1 to 4 brokers and several seeds each.
 *
 * @param name What holds.
 * @param options How often.
 * @param body The scenario; every world is closed after it, and must leave nothing.
 */
export function scenario(
  name: string,
  options: ScenarioOptions,
  body: (run: ScenarioRun) => Promise<void>,
): void {
  const { brokers = [1, 2, 3, 4], seeds = scale(2, 20) } = options;
  Deno.test(name, async () => {
    for (const count of brokers) {
      for (let seed = 0; seed < seeds; seed++) {
        try {
          const world = new SignalWorld(count, seed);
          await body({ world, brokers: count });
          await world[Symbol.asyncDispose]();
        } catch (error) {
          throw new Error(`With ${count} brokers and seed ${seed} of run ${runSeed()}`, { cause: error });
        }
      }
    }
  });
}
