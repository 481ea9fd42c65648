/** What is left when watchers are closed: nothing, however often, in whatever order, and when a Worker is ended. */

import {
  type BackendName,
  type NetworkWatcher,
  probeBackends,
  snapshot,
  watchNetwork,
} from "@holdfast/net/watch";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { childrenOf, descriptorsOf, eventually, threadsOf } from "../_child.ts";
import { requires, scale, seed } from "../_require.ts";
import { randomness } from "./_flood.ts";
import { ip } from "./_network.ts";

const needs = requires({ netns: true, tools: ["ip"] });

/** A reading of the tool is a process, and its monitor another: those cycles are few. */
const CYCLES = [
  { backend: "netlink", cycles: scale(100) },
  { backend: "ip-monitor", cycles: scale(20) },
  { backend: "poll", cycles: scale(100) },
] as const;

/** What this process holds of the system, and what is registered with the runtime. */
interface Holdings {
  readonly descriptors: readonly string[];
  readonly children: readonly string[];
  readonly listeners: Readonly<Record<string, number>>;
}

/** Knows who listens to signals and to events of the process. */
class Listeners implements Disposable {
  readonly #held = new Map<string, Set<unknown>>();
  readonly #stack = new DisposableStack();

  constructor() {
    const add = (set: Set<unknown>, handler: unknown): unknown => set.add(handler);
    const remove = (set: Set<unknown>, handler: unknown): unknown => set.delete(handler);
    this.#spy(Deno, "addSignalListener", add);
    this.#spy(Deno, "removeSignalListener", remove);
    this.#spy(globalThis, "addEventListener", add);
    this.#spy(globalThis, "removeEventListener", remove);
  }

  /** How many there are of each kind. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#held].map(([type, set]) => [type, set.size]));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #spy(target: object, name: string, note: (set: Set<unknown>, handler: unknown) => void): void {
    const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
    const spy = (type: string, handler: unknown, ...rest: unknown[]): unknown => {
      const set = this.#held.get(type) ?? new Set();
      this.#held.set(type, set);
      note(set, handler);
      return original.call(target, type, handler, ...rest);
    };
    Reflect.set(target, name, spy);
    this.#stack.defer(() => Reflect.set(target, name, original));
  }
}

function holdings(listeners: Listeners): Holdings {
  return {
    descriptors: descriptorsOf(),
    children: childrenOf(Deno.pid).map(({ name }) => name),
    listeners: listeners.counts,
  };
}

/** Does something once to warm up, then again and again; nothing may have been added. */
async function assertNoGrowth(times: number, act: () => Promise<void>): Promise<void> {
  using listeners = new Listeners();
  await act();
  await eventually("the children of the first cycle to be gone", () => childrenOf(Deno.pid).length === 0);
  const before = holdings(listeners);
  const threads = threadsOf();
  for (let n = 0; n < times; n++) await act();
  await eventually("the children to be gone", () => childrenOf(Deno.pid).length === 0);
  assertEquals(holdings(listeners), before);
  for (const [type, count] of Object.entries(listeners.counts)) assertEquals([type, count], [type, 0]);
  // The runtime lets idle threads of its pool go after a while.
  assert(threadsOf() <= threads, `there were ${threads} threads, and are ${threadsOf()}`);
}

for (const { backend, cycles } of CYCLES) {
  Deno.test({
    name: `${cycles} times opened and closed, a watcher by ${backend} leaves nothing of the system's`,
    ...needs,
    async fn() {
      await assertNoGrowth(cycles, async () => {
        const watcher = await watchNetwork({ backend });
        watcher.on("change", () => {});
        await watcher.close();
      });
    },
  });
}

Deno.test({
  name: "single readings and looks at the backends leave nothing of the system's",
  ...needs,
  async fn() {
    await assertNoGrowth(scale(20), async () => {
      for (const { backend } of CYCLES) await snapshot({ backend });
      await probeBackends();
    });
  },
});

Deno.test({
  name: "watchers that were never opened to the end leave nothing of the system's",
  ...needs,
  async fn() {
    await assertNoGrowth(scale(20), async () => {
      for (const { backend } of CYCLES) {
        const stop = new AbortController();
        const opening = watchNetwork({ backend, signal: stop.signal });
        stop.abort(new Error("changed my mind"));
        await assertRejects(() => opening, Error, "changed my mind");
        await assertRejects(() => watchNetwork({ backend, quiet: -1 }), RangeError);
        const filter = (): never => {
          throw new Error("a filter with a mistake");
        };
        await assertRejects(() => watchNetwork({ backend, filter }), Error, "a filter with a mistake");
      }
    });
  },
});

/** Waits for a watcher to tell of an address. */
async function told(watcher: NetworkWatcher, wanted: string): Promise<void> {
  for await (const event of watcher.events) {
    if (event.type === "addressadd" && event.address === wanted) return;
  }
  throw new Error(`The watcher ended, and never told of ${wanted}`);
}

for (const { backend } of CYCLES) {
  Deno.test({
    name:
      `ten watchers by ${backend} hold no more than one, and closing some in any order leaves the others their sight`,
    ...needs,
    async fn() {
      const random = randomness(seed());
      const open = () => watchNetwork({ backend, pollInterval: 50 });
      await (await open()).close();
      await eventually("the children of the first one to be gone", () => childrenOf(Deno.pid).length === 0);
      const none = descriptorsOf();
      const watchers = [await open()];
      const one = descriptorsOf();
      const tools = (): readonly string[] => childrenOf(Deno.pid).map(({ name }) => name);
      const oneTools = tools();
      assert(one.length > none.length || oneTools.length > 0);
      watchers.push(await open());
      assertEquals([descriptorsOf(), tools()], [one, oneTools]);
      watchers.push(...await Promise.all(Array.from({ length: 8 }, open)));
      assertEquals([descriptorsOf(), tools()], [one, oneTools]);
      for (let n = 1; watchers.length > 0; n++) {
        const address = `10.7.0.${n}`;
        const telling = watchers.map((watcher) => told(watcher, address));
        await ip(`address add ${address}/32 dev lo`);
        await Promise.all(telling);
        await ip(`address delete ${address}/32 dev lo`);
        const [closed] = watchers.splice(Math.floor(random() * watchers.length), 1);
        await closed?.close();
      }
      await eventually("the children to be gone", () => tools().length === 0);
      assertEquals(descriptorsOf(), none);
    },
  });
}

/** A Worker that watches. */
async function startWorker(backend: BackendName): Promise<Worker> {
  const code = `
    import { watchNetwork } from "${import.meta.resolve("../../watch/mod.ts")}";
    const watcher = await watchNetwork({ backend: "${backend}", pollInterval: 50 });
    watcher.on("addressadd", ({ address }) => postMessage(address));
    postMessage("watching");
  `;
  const url = URL.createObjectURL(new Blob([code], { type: "text/typescript" }));
  const worker = new Worker(url, { type: "module" });
  await message(worker, "watching");
  URL.revokeObjectURL(url);
  return worker;
}

function message(worker: Worker, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => data === text && resolve();
    worker.onerror = ({ message }) => reject(new Error(message));
  });
}

for (const { backend } of CYCLES) {
  Deno.test({
    name: `a Worker that watches by ${backend} sees what happens, and terminated it leaves nothing`,
    ...needs,
    async fn() {
      const cycle = async (): Promise<void> => {
        const worker = await startWorker(backend);
        const seen = message(worker, "10.6.0.1");
        await ip("address add 10.6.0.1/32 dev lo");
        await seen;
        worker.terminate();
        await ip("address delete 10.6.0.1/32 dev lo");
      };
      // A Worker is ended without its own doing: what it opened through the C library, the next one to open that closes,
      // and its tool ends by what it has to say next, which nobody hears any more.
      const rest = async (): Promise<number> => {
        await snapshot({ backend: "netlink" });
        await eventually("the children to be gone", async () => {
          await ip("address add 10.6.0.2/32 dev lo", "address delete 10.6.0.2/32 dev lo");
          return childrenOf(Deno.pid).length === 0;
        });
        return descriptorsOf().length;
      };
      await cycle();
      const before = await rest();
      for (let n = 0; n < scale(5); n++) await cycle();
      // The thread of the last Worker ends in its own time.
      await eventually("no more than there was after the first cycle", async () => await rest() <= before);
    },
  });
}
