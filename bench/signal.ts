/** What messages over several brokers cost, and what survives when brokers die, beside `npm:mqtt`. */

import { makeIdentity } from "../signal/identity.ts";
import { mqtt } from "../signal/mqtt.ts";
import { joinSignal } from "../signal/peer.ts";
import { Mosquitto } from "../tests/_mosquitto.ts";
import { type Figure, figure, median, percentile } from "./_figure.ts";
import { bare, type Carrier, type MakeCarrier, ours, unequal } from "./_signal_carriers.ts";

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What came of a stream of messages during which brokers were killed. */
interface Crashes {
  /** The longest time between two messages around each crash, in milliseconds. */
  readonly gaps: readonly number[];
  readonly sent: number;
  readonly lost: number;
  readonly twice: number;
}

/** One message every 8 ms; a broker is killed 0.4 s into each round, and started again, empty, 0.8 s later. */
async function crashes(make: MakeCarrier, brokers: readonly Mosquitto[], rounds: number): Promise<Crashes> {
  const gaps: number[] = [];
  const seen = new Map<number, number>();
  let sent = 0;
  for (let round = 0; round < rounds; round++) {
    await using carrier = await make(brokers);
    let last = performance.now();
    let gap = 0;
    carrier.onMessage = (number) => {
      seen.set(number, (seen.get(number) ?? 0) + 1);
      const now = performance.now();
      gap = Math.max(gap, now - last);
      last = now;
    };
    const settled: Promise<void>[] = [];
    const stream = async (milliseconds: number): Promise<void> => {
      const end = performance.now() + milliseconds;
      while (performance.now() < end) {
        settled.push(carrier.send(sent++));
        await pause(8);
      }
    };
    await stream(400);
    gap = 0;
    const port = carrier.broker();
    const victim = brokers.find((broker) => broker.port === port) ?? brokers[round % brokers.length];
    const killed = victim?.kill();
    await stream(800);
    await killed;
    await victim?.start();
    await stream(800);
    // Nothing is sent while it waits.
    gaps.push(gap);
    await carrier.ready();
    await stream(200);
    // Acknowledgements that never come are no reason to wait for ever.
    await Promise.race([Promise.all(settled), pause(5000)]);
    await pause(300);
  }
  const arrived = [...seen.values()];
  return { gaps, sent, lost: sent - seen.size, twice: arrived.filter((count) => count > 1).length };
}

/** Milliseconds for a number of messages, as fast as they go, at most so many on their way. */
async function burst(carrier: Carrier, count: number, window: number): Promise<number> {
  let arrived = 0;
  const all = Promise.withResolvers<void>();
  carrier.onMessage = () => void (++arrived === count && all.resolve());
  const start = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await carrier.send(next++);
  };
  await Promise.all([...Array.from({ length: window }, lane), all.promise]);
  return performance.now() - start;
}

async function throughput(brokers: readonly Mosquitto[], rounds: number): Promise<Figure[]> {
  const one = brokers.slice(0, 1);
  await using a = await bare(one);
  await using control = await bare(one);
  await using b = await ours(brokers);
  const times: Record<"a" | "b" | "control", number[]> = { a: [], b: [], control: [] };
  const count = 500;
  const before = b.published() ?? 0;
  for (let round = -1; round < rounds; round++) {
    const slice = {
      a: await burst(a, count, 100),
      b: await burst(b, count, 100),
      control: await burst(control, count, 100),
    };
    if (round < 0) continue;
    for (const name of ["a", "b", "control"] as const) times[name].push(slice[name]);
  }
  const perMessage = ((b.published() ?? 0) - before) / (count * (rounds + 1));
  const rate = (list: readonly number[]): string => `${Math.round(count * 1000 / median(list))} a second`;
  const ratio = (list: readonly number[]): number =>
    median(list.map((time, n) => time / (times.a[n] ?? NaN)));
  const note = `bare ${rate(times.a)}, ours ${rate(times.b)}`;
  return [
    figure("signal: control, npm:mqtt beside itself, QoS 1", ratio(times.control), "x", null, rounds),
    figure(
      "signal: time per message, 3 brokers, beside npm:mqtt QoS 1 on one",
      ratio(times.b),
      "x",
      4,
      rounds,
      note,
    ),
    figure(
      "signal: publishes per message in bursts, acknowledgements included",
      perMessage,
      "x",
      4.3,
      count * rounds,
    ),
  ];
}

/** One message at a time, from the call to the receiver's handler. */
async function latency(make: MakeCarrier, brokers: readonly Mosquitto[], count: number): Promise<{
  readonly samples: readonly number[];
  readonly published: number;
}> {
  await using carrier = await make(brokers);
  const samples: number[] = [];
  const before = carrier.published() ?? 0;
  for (let n = -50; n < count; n++) {
    const arrived = new Promise<number>((resolve) => carrier.onMessage = () => resolve(performance.now()));
    const start = performance.now();
    const done = carrier.send(n + 50);
    const time = await arrived - start;
    await done;
    if (n >= 0) samples.push(time);
  }
  return { samples, published: ((carrier.published() ?? 0) - before) / (count + 50) };
}

/** A broker that stands still: how long until it counts as down, and what the receiver saw of it. */
async function standstill(brokers: readonly Mosquitto[]): Promise<readonly [noticed: number, gap: number]> {
  const join = () => joinSignal({ identity: makeIdentity(), brokers: brokers.map(({ url }) => mqtt(url)) });
  await using sender = await join();
  await using receiver = await join();
  let last = 0;
  let gap = 0;
  using _ = receiver.handle(() => {
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
  });
  await sender.send(receiver.id, "first");
  while (!sender.status().brokers.every(({ state }) => state === "up")) await pause(10);
  gap = 0;
  const [victim] = brokers;
  victim?.stop();
  const start = performance.now();
  last = start;
  const noticed = (): boolean => sender.status().brokers[0]?.state !== "up";
  try {
    while (!noticed() && performance.now() - start < 20_000) {
      sender.send(receiver.id, "tick").catch(() => {});
      await pause(8);
    }
    return [performance.now() - start, gap];
  } finally {
    victim?.resume();
  }
}

/** From the recipient's coming to its first message, which has been waiting for it. */
async function lateComer(brokers: readonly Mosquitto[]): Promise<number> {
  const identity = makeIdentity();
  const links = () => brokers.map(({ url }) => mqtt(url));
  await using sender = await joinSignal({ identity: makeIdentity(), brokers: links() });
  const sent = sender.send(identity.id, "waiting");
  await pause(3000);
  const start = performance.now();
  await using receiver = await joinSignal({ identity, brokers: links() });
  const arrived = Promise.withResolvers<number>();
  using _ = receiver.handle(() => arrived.resolve(performance.now()));
  const time = await arrived.promise - start;
  await sent;
  return time;
}

/**
 * Measures messages over brokers. All are mosquitto with its default configuration, on loopback.
 *
 * @param rounds How often brokers are killed, and messages sent in bursts.
 * @param messages How many single messages are timed.
 */
export async function signals(rounds: number, messages: number): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const brokers: Mosquitto[] = [];
  for (let n = 0; n < 3; n++) brokers.push(stack.use(await Mosquitto.start()));
  const figures: Figure[] = [];

  const failover = await crashes(bare, brokers, rounds);
  const apart = await crashes(unequal, brokers, rounds);
  const three = await crashes(ours, brokers, rounds);
  const worst = (list: readonly number[]): number => Math.max(...list);
  const of = ({ sent, twice }: Crashes): string => `of ${sent}, ${twice} twice`;
  figures.push(
    figure("signal: longest gap at a crash, npm:mqtt with servers", worst(failover.gaps), "ms", null, rounds),
    figure("signal: longest gap at a crash, ours", worst(three.gaps), "ms", 150, rounds),
    figure(
      "signal: lost at crashes, npm:mqtt with servers",
      failover.lost,
      "messages",
      null,
      rounds,
      of(failover),
    ),
    figure("signal: lost, one end back after 0.3 s", apart.lost, "messages", null, rounds, of(apart)),
    figure("signal: lost at crashes, ours", three.lost + three.twice, "messages", 0, rounds, of(three)),
  );

  figures.push(...await throughput(brokers, rounds));
  const alone = await latency(bare, brokers.slice(0, 1), messages);
  const timed = await latency(ours, brokers, messages);
  figures.push(
    figure("signal: latency of npm:mqtt QoS 1, p50", percentile(alone.samples, 0.5), "ms", null, messages),
    figure("signal: latency, 3 brokers, 300 bytes, p50", percentile(timed.samples, 0.5), "ms", 1.5, messages),
    figure("signal: latency, 3 brokers, 300 bytes, p99", percentile(timed.samples, 0.99), "ms", 15, messages),
    figure("signal: publishes per message, one at a time", timed.published, "x", 4.3, messages),
  );

  const comings: number[] = [];
  for (let n = 0; n < Math.min(rounds, 5); n++) comings.push(await lateComer(brokers));
  figures.push(
    figure("signal: until one who comes late has what waited", worst(comings), "ms", 1000, comings.length),
  );

  const [noticed, gap] = await standstill(brokers);
  figures.push(
    figure("signal: until a broker that stands still counts as down", noticed, "ms", 10_000, 1),
    figure("signal: longest gap while a broker stands still", gap, "ms", 250, 1),
  );
  return figures;
}
