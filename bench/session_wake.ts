/** How soon a session goes on after the network was away, against a connection that the kernel keeps, over the same outage. */

import { connect } from "../pipes/connect.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { ADDRESS, TwoHosts } from "../tests/netns/_two_hosts.ts";
import { type NetworkWatcher, watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, percentile } from "./_figure.ts";
import { Kernel } from "./_kernel.ts";

const URL = `resume+tcp://${ADDRESS.server.v4}:4400` as const;

/** How often something is said, in milliseconds: the answers tell when it works again. */
const PACE = 50;

/** Where it is measured. */
interface Scene {
  readonly lab: TwoHosts;
  readonly kernel: Kernel;
  /** Of the client's interface. */
  readonly index: number;
  readonly network: NetworkWatcher;
}

/** A pipe to somebody who sends back what he gets. */
class Talk implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #heard = Promise.withResolvers<void>();

  constructor(pipe: Pick<Pipe, "send" | "messages">) {
    let waiting = false;
    this.#timer = setInterval(async () => {
      if (waiting) return;
      waiting = true;
      await pipe.send("are you there?").catch(() => {});
      waiting = false;
    }, PACE);
    (async () => {
      for await (const _ of pipe.messages) this.#heard.resolve();
    })().catch((error) => this.#heard.reject(error));
  }

  /** Resolves with the next answer. */
  next(): Promise<void> {
    this.#heard = Promise.withResolvers();
    return this.#heard.promise;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#heard.promise.catch(() => {});
  }
}

/** Resolves when the watcher says something about IPv4. */
function usable(network: NetworkWatcher, wanted: boolean): Promise<void> {
  const is = (): boolean => network.state.families.includes(4) === wanted;
  if (is()) return Promise.resolve();
  return new Promise((resolve) => {
    const registration = network.subscribe(() => {
      if (!is()) return;
      registration[Symbol.dispose]();
      resolve();
    });
  });
}

/** Short outages: from the watcher's word that the network is usable to the session's that it goes on. */
async function short(scene: Scene, rounds: number): Promise<number[]> {
  const { kernel, index, network } = scene;
  const times: number[] = [];
  const session = await connect(URL, { network });
  for (let n = 0; n < rounds; n++) {
    const suspended = new Promise((resolve) => session.on("suspended", resolve));
    kernel.address("remove", index, ADDRESS.client.v4, 24);
    await Promise.all([suspended, usable(network, false)]);
    let at = NaN;
    const back = usable(network, true).then(() => at = performance.now());
    const resumed = new Promise((resolve) => session.on("resumed", resolve));
    kernel.address("add", index, ADDRESS.client.v4, 24);
    kernel.defaultRoute("add", index, ADDRESS.near.v4);
    await resumed;
    const now = performance.now();
    // Some are back by the address alone, before the watcher has said that all is well.
    times.push(Number.isNaN(at) ? 0 : now - at);
    await back;
  }
  session.abort();
  return times;
}

/** One long outage far away, and the link that comes back after it; tells when a session and a TCP connection have their answers. */
async function long(scene: Scene, plainPort: number, outage: number): Promise<readonly [number, number]> {
  const { lab, kernel, index, network } = scene;
  const session = await connect(URL, { network });
  const plain = await connect(`tcp://${ADDRESS.server.v4}:${plainPort}`);
  try {
    using first = new Talk(session);
    using second = new Talk(plain);
    await Promise.all([first.next(), second.next()]);
    const silence = await lab.silence();
    await new Promise((resolve) => setTimeout(resolve, outage));
    kernel.link(index, false);
    await usable(network, false);
    await silence.heal();
    const answers = [first.next(), second.next()];
    const began = performance.now();
    kernel.link(index, true);
    kernel.defaultRoute("add", index, ADDRESS.near.v4);
    const [ours = NaN, theirs = NaN] = await Promise.all(
      answers.map((answer) => answer.then(() => performance.now() - began)),
    );
    return [ours, theirs];
  } finally {
    session.abort();
    plain.abort();
  }
}

/**
 * Measures it in a network of its own.
 *
 * @param rounds How many short outages.
 * @param longs How many long ones.
 * @param outage How long these are, in milliseconds.
 */
export async function sessionWake(rounds: number, longs: number, outage: number): Promise<Figure[]> {
  await using lab = await TwoHosts.make();
  // As a machine has it; the laboratory is less patient.
  await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_retries2=15");
  const far = await lab.serve({ fault: { fault: { type: "echo" } } });
  await lab.start("server", "_session_program.ts", JSON.stringify({ serve: URL }));
  await using network = await watchNetwork();
  await network.online({ family: 4 });
  using kernel = new Kernel();
  const index = network.state.interfaces.find(({ name }) => name === "vc")?.index ?? 0;
  const scene = { lab, kernel, index, network };
  const times = await short(scene, rounds);
  const pairs: (readonly [number, number])[] = [];
  for (let n = 0; n < longs; n++) pairs.push(await long(scene, far.port, outage));
  const note = `after ${outage / 1000} s of silence, from the link's return`;
  const [ours, theirs] = [pairs.map(([first]) => first), pairs.map(([, second]) => second)];
  return [
    figure("session: resumed after the network is usable, p50", percentile(times, 0.5), "ms", 50, rounds),
    figure("session: resumed after the network is usable, p99", percentile(times, 0.99), "ms", 300, rounds),
    figure("session: first answer, p50", percentile(ours, 0.5), "ms", null, longs, note),
    figure("kernel TCP: first answer, p50", percentile(theirs, 0.5), "ms", null, longs, note),
  ];
}
