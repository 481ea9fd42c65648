// runs alone
/** Messages are lost where they come faster than they are taken: the state must be right all the same. */

import { applyEvents, diffStates, type NetworkEvent, type NetworkState } from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { requires, scale, seed } from "../_require.ts";
import { assertAgreement } from "./_agreement.ts";
import { describe } from "./_describe.ts";
import { addressOf, drops, floodCommands, randomness, runStandingStill } from "./_flood.ts";
import { ip, Network, Observer } from "./_network.ts";

const needs = requires({ netns: true, tools: ["ip"] });

/** Addresses per flood. */
const COUNT = 5000;

/** How long the reader stands still; in the normal run as long as the flood takes. */
const STANDSTILL = scale(1, 2000);

/** Follows a watcher by its single events alone, as a program does that keeps its own picture. */
class Follower {
  state: NetworkState;
  /** How often it was too slow for single events. */
  resyncs = 0;

  constructor(state: NetworkState) {
    this.state = state;
  }

  async follow(events: AsyncIterable<NetworkEvent>): Promise<void> {
    for await (const event of events) {
      this.state = applyEvents(this.state, [event]);
      if (event.type === "resync") this.resyncs++;
    }
  }
}

for (
  const { backend, floods } of [
    { backend: "netlink", floods: scale(10, 200) },
    { backend: "ip-monitor", floods: scale(2, 20) },
  ] as const
) {
  Deno.test({
    name:
      `${floods} floods of ${COUNT} addresses, which ${backend} cannot keep up with, leave no wrong state`,
    ...needs,
    async fn() {
      const random = randomness(seed());
      await using network = await Network.make();
      await network.plug("wan0", "peer0");
      await ip("link set wan0 up", "address add 10.1.0.2/24 dev wan0", "route add default via 10.1.0.1");
      const observer = await Observer.open({ backend });
      const follower = new Follower(observer.watcher.state);
      const following = follower.follow(observer.watcher.events);
      let longest = 0;
      try {
        for (let flood = 0; flood < floods; flood++) {
          const [lost, told] = [drops(), observer.events.length];
          // Sometimes a handful of addresses stays, sometimes more than any queue of events holds.
          const keep = flood % 5 === 4 ? COUNT / 2 : random() * 20;
          const kept = new Set(Array.from({ length: keep }, () => Math.floor(random() * COUNT)));
          const commands = floodCommands("wan0", COUNT, kept, random);
          // What else a real change brings along, last of all, where it is surely lost.
          const gateway = `10.1.0.${3 + flood % 200}`;
          const start = performance.now();
          runStandingStill([...commands, `route replace default via ${gateway}`], STANDSTILL);
          longest = Math.max(longest, performance.now() - start);
          await observer.until(
            `the end of flood ${flood}`,
            () => observer.watcher.state.defaultRoute.v4?.gateway === gateway,
          );
          await assertAgreement(observer);
          assertEquals(diffStates(follower.state, observer.watcher.state, () => true).map(describe), []);
          // The tool's word of it comes by another pipe than its hints, and may come later.
          await observer.until(
            `a word of the overflow in flood ${flood}`,
            () => observer.events.slice(told).some((e) => e.type === "backend" && e.reason === "overflow"),
          );
          assert(backend !== "netlink" || drops() > lost, `flood ${flood}: nothing was dropped`);
          await ip(...[...kept].map((n) => `address delete ${addressOf(n)}/32 dev wan0`));
        }
        console.log(
          `the reader stood still for up to ${Math.round(longest)} ms; ${drops()} times something was lost`,
        );
        await assertAgreement(observer);
        assert(floods < 5 || follower.resyncs > 0, "a queue that overflowed is made up for by a resync");
      } finally {
        await observer.watcher.close();
        await following;
      }
      assertEquals(diffStates(follower.state, observer.watcher.state, () => true).map(describe), []);
    },
  });
}
