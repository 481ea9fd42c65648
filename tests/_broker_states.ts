/** What a link to a broker tells, and waiting for it. */

import type { Broker, BrokerLink, BrokerOpenOptions, BrokerState } from "../signal/_broker.ts";

/** A link, and all that it has told. */
export class ObservedLink implements AsyncDisposable {
  /** The link. */
  readonly link: BrokerLink;
  /** The states in order. */
  readonly states: BrokerState[] = [];
  /** The reasons told with them. */
  readonly reasons: (Error | undefined)[] = [];
  /** The messages, topic and text. */
  readonly messages: string[] = [];
  /** The topics refused, and why. */
  readonly refused: (readonly [string, number])[] = [];
  readonly #waiting = new Set<() => void>();

  /** Opens one. */
  constructor(broker: Broker, options: BrokerOpenOptions = {}, topics: readonly string[] = []) {
    this.link = broker.open(options);
    this.link.onState = (state, reason) => {
      this.states.push(state);
      this.reasons.push(reason);
      this.#look();
    };
    this.link.onMessage = (topic, payload) => {
      this.messages.push(`${topic} ${new TextDecoder().decode(payload)}`);
      this.#look();
    };
    this.link.onRefused = (topic, code) => {
      this.refused.push([topic, code]);
      this.#look();
    };
    for (const topic of topics) this.link.subscribe(topic);
  }

  /** The last reason that was told. */
  get reason(): Error | undefined {
    return this.reasons.findLast((reason) => reason !== undefined);
  }

  /** Publishes a text. */
  publish(topic: string, text: string): boolean {
    return this.link.publish(topic, new TextEncoder().encode(text));
  }

  /** Waits until something is so, looking each time when the link tells something. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      // A pending promise alone does not keep the test alive.
      const hold = setInterval(() => {}, 1000);
      await promise;
      clearInterval(hold);
    }
  }

  /** Waits for a state. */
  async reaches(state: BrokerState): Promise<void> {
    await this.until(() => this.link.state === state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.link[Symbol.asyncDispose]();
  }

  #look(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
