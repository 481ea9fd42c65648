/** What pipes and bare connections are compared by: something that carries bytes to a thread of its own, and runs by turns. */

import { cpuUsage } from "node:process";
import { type Figure, figure, median } from "./_figure.ts";
import type { Far } from "./_pipes_far.ts";

const MIB = 1024 * 1024;

/** The other end's thread. */
export class FarSide implements Disposable {
  readonly #worker = new Worker(new URL("_pipes_far.ts", import.meta.url).href, { type: "module" });

  /** Starts one end there, and tells its port. */
  start(far: Far): Promise<number> {
    return new Promise((resolve) => {
      this.#worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      this.#worker.postMessage(far);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Something that carries bytes one way. */
export interface Carrier extends AsyncDisposable {
  /** Sends so many writes of a size, and resolves when all of it has arrived at the other end. */
  carry(size: number, writes: number): Promise<void>;
}

/** Makes a carrier whose other end says when so many bytes have come. */
export type MakeCarrier = (far: FarSide, total: number) => Promise<Carrier>;

/** What a variant takes beside bare connections, of which there are two, in the same round; the median of all rounds. */
export interface Comparison {
  /** How much longer. */
  readonly time: number;
  /** How much more of the processors, at both ends together; other programs do not matter for that. */
  readonly work: number;
  /** Its throughput in MiB a second. */
  readonly speed: number;
}

/**
 * Runs variants by turns, in any order, and compares within the rounds: with a bare connection and its twin, and these two with
 * each other.
 */
export async function interleaved<K extends string>(
  raw: MakeCarrier,
  others: Readonly<Record<K, MakeCarrier>>,
  size: number,
  rounds: number,
): Promise<Readonly<Record<K | "control", Comparison>>> {
  const writes = Math.max(16, Math.round((size >= 16 * 1024 ? 48 * MIB : 4 * MIB) / size));
  using far = new FarSide();
  await using stack = new AsyncDisposableStack();
  const runs: Run[] = [];
  for (const make of [raw, raw, ...Object.values<MakeCarrier>(others)]) {
    runs.push({ carrier: stack.use(await make(far, size * writes)), times: [], works: [] });
  }
  // The first rounds warm the compiler up.
  for (let n = -5; n < rounds; n++) {
    // What one leaves behind, the next one clears away: nobody may always come after the same.
    for (const { carrier, times, works } of shuffled(runs)) {
      const before = cpuUsage();
      const start = performance.now();
      await carrier.carry(size, writes);
      const time = performance.now() - start;
      const { user, system } = cpuUsage(before);
      if (n < 0) continue;
      times.push(time);
      works.push(user + system);
    }
  }
  const [first, control, ...compared] = runs;
  if (!first || !control) throw new Error("Cannot measure: nothing to compare with");
  const compare = ({ times, works }: Run, bare: readonly Run[]): Comparison => ({
    time: beside(times, bare.map((run) => run.times)),
    work: beside(works, bare.map((run) => run.works)),
    speed: size * writes / MIB / (median(times) / 1000),
  });
  const names = Object.keys(others);
  return Object.fromEntries([
    ["control", compare(control, [first])],
    ...compared.map((run, n) => [names[n], compare(run, [first, control])]),
  ]);
}

/** A figure of how long it takes beside a bare connection. */
export function figureOf(
  name: string,
  { time, work, speed }: Comparison,
  target: number | null,
  rounds: number,
): Figure {
  const note = `${speed.toFixed(0)} MiB/s beside ${(speed * time).toFixed(0)}, processors ${
    work.toFixed(3)
  } x`;
  return figure(name, time, "x", target, rounds, note);
}

/** A variant, and what its runs took: in milliseconds, and of the processors. */
interface Run {
  readonly carrier: Carrier;
  readonly times: number[];
  readonly works: number[];
}

/** How many times as much something is as others are, one round with another. */
function beside(all: readonly number[], others: readonly (readonly number[])[]): number {
  return median(all.map((value, n) => {
    const sum = others.reduce((sum, other) => sum + (other[n] ?? NaN), 0);
    return value / (sum / others.length);
  }));
}

/** The same in any order. */
export function shuffled<T>(all: readonly T[]): readonly T[] {
  return all.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ one }) => one);
}
