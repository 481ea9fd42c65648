// runs alone
/** How soon after the kernel's change a pipe tells of it: of one that comes alone, and of those that pour in. */

import { assert, assertEquals } from "@std/assert";
import { Kernel } from "../../bench/_kernel.ts";
import { connect } from "../../pipes/connect.ts";
import type { Pipe } from "../../pipes/pipe.ts";
import { scale } from "../_require.ts";
import { provoke } from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

/** The watcher's pace (design: single events): readings close together, and the distance of those after, in milliseconds. */
const [CLOSE, EVEN] = [5, 20];

/** What a pipe has told. */
interface Told {
  /** From the kernel's change to the event, in milliseconds, sorted. */
  readonly delays: readonly number[];
  /** How many readings of the network that took. */
  readonly readings: number;
  /** From the first change to the last event. */
  readonly took: number;
}

/** What is done to the interface. */
interface Changes {
  /** How many addresses it gets, one after the other. */
  readonly count: number;
  /** For how long nothing is done in between, in milliseconds. */
  readonly gap: number;
  /** Whether each waits until the one before was told. */
  readonly alone: boolean;
}

/** Gives the interface addresses, and listens to what the pipe tells. */
async function observe(pipe: Pipe, kernel: Kernel, index: number, changes: Changes): Promise<Told> {
  const { count, gap, alone } = changes;
  const made = new Map<string, number>();
  const delays: number[] = [];
  const done = Promise.withResolvers<void>();
  let told = Promise.withResolvers<void>();
  let readings = 0;
  let turn: ReturnType<typeof setTimeout> | undefined;
  using _events = pipe.on("addresschange", ({ address }) => {
    const at = made.get(address);
    if (at === undefined) return;
    delays.push(performance.now() - at);
    // All that one reading has found is told within one turn of the event loop.
    if (turn === undefined) {
      readings++;
      turn = setTimeout(() => turn = undefined, 0);
    }
    told.resolve();
    if (delays.length === count) done.resolve();
  });
  const began = performance.now();
  const address = (n: number): string => `10.9.${100 + (n >> 7)}.${(n & 0x7f) + 1}`;
  for (let n = 0; n < count; n++) {
    told = Promise.withResolvers();
    made.set(address(n), performance.now());
    kernel.address("add", index, address(n), 32);
    if (alone) await told.promise;
    await new Promise((resolve) => setTimeout(resolve, gap));
  }
  await done.promise;
  const took = performance.now() - began;
  clearTimeout(turn);
  made.clear();
  for (let n = 0; n < count; n++) kernel.address("remove", index, address(n), 32);
  return { delays: delays.sort((a, b) => a - b), readings, took };
}

function shown({ delays }: Told): string {
  const at = (part: number): string => (delays[Math.ceil(part * delays.length) - 1] ?? NaN).toFixed(2);
  return `${at(0.5)} / ${at(0.95)} / ${at(1)} ms (p50/p95/worst of ${delays.length})`;
}

provoke(
  "a change that comes alone is told at once, and those that pour in at the pace of readings",
  async (scene) => {
    const { far, network } = scene;
    using kernel = new Kernel();
    const index = network.state.interfaces.find(({ name }) => name === "vc")?.index ?? 0;
    await using pipe = await connect(`tcp://${ADDRESS.server.v4}:${far.port}`, { network });
    const calm = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));
    for (const gap of [120, 30]) {
      await calm();
      const told = await observe(pipe, kernel, index, { count: scale(25, 400), gap, alone: true });
      console.log(`changes ${gap} ms apart: ${shown(told)}`);
      // Nothing is put together with anything.
      assertEquals(told.readings, told.delays.length);
    }
    for (const [gap, count] of [[5, scale(100, 1000)], [1, scale(400, 2000)]] as const) {
      await calm();
      const told = await observe(pipe, kernel, index, { count, gap, alone: false });
      const took = Math.round(told.took);
      console.log(`changes ${gap} ms apart: ${shown(told)}, ${told.readings} readings in ${took} ms`);
      assertEquals(told.delays.length, count);
      assert(told.readings <= CLOSE + 1 + told.took / EVEN, `${told.readings} readings in ${told.took} ms`);
    }
    pipe.abort();
  },
);
