/** Real brokers that are killed and stopped while messages go over them: none is lost, none comes twice, and they are in order. */

import { assert, assertEquals } from "@std/assert";
import { makeIdentity } from "../signal/identity.ts";
import { mqtt } from "../signal/mqtt.ts";
import { joinSignal } from "../signal/peer.ts";
import type { SignalPeer } from "../signal/signal_peer.ts";
import { chance } from "./_chance.ts";
import { Mosquitto } from "./_mosquitto.ts";
import { requires, scale } from "./_require.ts";

const REAL = requires({ tools: ["mosquitto"] });

/** Three brokers, and two peers that are connected to all of them. */
async function laboratory(stack: AsyncDisposableStack): Promise<{
  readonly brokers: readonly Mosquitto[];
  readonly sender: SignalPeer;
  readonly receiver: SignalPeer;
}> {
  const brokers: Mosquitto[] = [];
  for (let n = 0; n < 3; n++) brokers.push(stack.use(await Mosquitto.start()));
  const join = () => joinSignal({ identity: makeIdentity(), brokers: brokers.map(({ url }) => mqtt(url)) });
  return { brokers, sender: stack.use(await join()), receiver: stack.use(await join()) };
}

/** Follows what arrives. */
class Arrivals {
  readonly numbers: number[] = [];
  readonly #waiting = new Map<number, () => void>();

  async follow(receiver: SignalPeer): Promise<void> {
    for await (const message of receiver) {
      this.numbers.push(Number(message.text()));
      this.#waiting.get(this.numbers.length)?.();
    }
  }

  /** Resolves when so many have come. */
  count(count: number): Promise<void> {
    if (this.numbers.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.set(count, resolve));
  }
}

Deno.test({
  name: "messages under random schedules of killed and stopped brokers arrive once and in order",
  ...REAL,
  async fn() {
    for (let schedule = 0; schedule < scale(6, 200); schedule++) {
      await using stack = new AsyncDisposableStack();
      const { brokers, sender, receiver } = await laboratory(stack);
      const random = chance(schedule);
      const arrivals = new Arrivals();
      const following = arrivals.follow(receiver);
      const total = 500;
      let next = 0;
      const sent: Promise<unknown>[] = [];
      const sendUntil = async (end: number): Promise<void> => {
        for (; next < end; next++) {
          sent.push(sender.send(receiver.id, String(next)));
          if (next % 16 === 15) await sent[next - 15];
        }
      };
      // One of the three is always left alone, another one each time.
      const spared = schedule % 3;
      const others = brokers.filter((_, n) => n !== spared);
      for (let step = 1; step <= 5; step++) {
        const sending = sendUntil(step * total / 5);
        const victims = random() < 0.5 ? others : [others[Math.floor(random() * 2)]];
        await arrivals.count(Math.max(1, Math.floor((step - random()) * total / 5)));
        const stopped = random() < 0.3;
        for (const victim of victims) {
          if (stopped) victim?.stop();
          else await victim?.kill();
        }
        await sending;
        for (const victim of victims) {
          if (stopped) victim?.resume();
          else await victim?.start();
        }
      }
      await Promise.all(sent);
      await arrivals.count(total);
      await receiver.close();
      await following;
      assertEquals(arrivals.numbers, Array.from({ length: total }, (_, n) => n), `schedule ${schedule}`);
    }
  },
});

Deno.test({
  name:
    "with all brokers gone messages wait, and arrive when one is back, empty; those whose time is over are told",
  ...REAL,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { brokers, sender, receiver } = await laboratory(stack);
    const arrivals = new Arrivals();
    const following = arrivals.follow(receiver);
    await sender.send(receiver.id, "0");
    await Promise.all(brokers.map((broker) => broker.kill()));
    const late = sender.send(receiver.id, "999", { ttl: 300 }).then(() => "delivered", (error) => error.code);
    assertEquals(await late, "expired");
    const sent = Array.from({ length: 50 }, (_, n) => sender.send(receiver.id, String(n + 1)));
    await brokers[1]?.start();
    await Promise.all(sent);
    await receiver.close();
    await following;
    assertEquals(arrivals.numbers, Array.from({ length: 51 }, (_, n) => n));
  },
});

Deno.test({
  name: "what a plain subscriber sees of it holds no text, no id, and only sizes of a class",
  ...requires({ tools: ["mosquitto", "mosquitto_sub"] }),
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { brokers, sender, receiver } = await laboratory(stack);
    const eye = new Deno.Command("mosquitto_sub", {
      args: ["-h", "127.0.0.1", "-p", String(brokers[0]?.port), "-t", "#", "-F", "%t %l %x", "-C", "40"],
      stdout: "piped",
    }).spawn();
    const seeing = new Response(eye.stdout).text();
    const arrivals = new Arrivals();
    const following = arrivals.follow(receiver);
    // It sees forty packets sooner or later; a hundred messages are more than that.
    let n = 0;
    while (n < 100) await sender.send(receiver.id, String(n++).padStart(100, "0"));
    const seen = await seeing;
    await eye.status;
    await receiver.close();
    await following;
    const hex = (text: string): string => new TextEncoder().encode(text).toHex();
    for (const secret of ["0".repeat(50), sender.id, receiver.id]) {
      assert(!seen.includes(secret));
      assert(!seen.includes(hex(secret)));
    }
    const lines = seen.trimEnd().split("\n").map((line) => line.split(" "));
    // Messages to ourselves, by which brokers are tried, hold nothing but chance.
    const packets = lines.filter(([topic]) => !topic?.startsWith("holdfast/canary/"));
    assert(packets.length > 0);
    for (const [, size] of packets) {
      assert([256, 512, 1024, 2048, 4096, 8192].includes(Number(size)), `${size} bytes`);
    }
  },
});
