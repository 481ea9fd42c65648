/** From the kernel's change to the program that must know: our watcher beside `ip monitor`, pyroute2 and polling. */

import { networkInterfaces } from "node:os";
import { watchNetwork } from "../watch/mod.ts";
import { type Figure, figure, median, percentile } from "./_figure.ts";
import type { Kernel } from "./_kernel.ts";

/** Something that sees addresses come and go. */
interface Observer extends AsyncDisposable {
  /** Called with each address that came or went, as soon as this program knows. */
  onAddress: (address: string) => void;
  /** Whether it sees an address that comes and goes within 10 ms; polling does not. */
  readonly quick: boolean;
}

async function ours(): Promise<Observer> {
  const watcher = await watchNetwork({ backend: "netlink" });
  const observer: Observer = { quick: true, onAddress() {}, [Symbol.asyncDispose]: () => watcher.close() };
  watcher.on("addressadd", ({ address }) => observer.onAddress(address));
  watcher.on("addressremove", ({ address }) => observer.onAddress(address));
  return observer;
}

/** A tool whose lines name the addresses. */
function lines(command: string, args: readonly string[]): Observer {
  const child = new Deno.Command(command, { args: [...args], stdin: "null", stdout: "piped", stderr: "null" })
    .spawn();
  const observer: Observer = {
    quick: true,
    onAddress() {},
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await reading;
    },
  };
  const reading = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      for (const [address] of chunk.matchAll(/\b10\.9\.\d+\.\d+\b/g)) observer.onAddress(address);
    }
  })();
  return observer;
}

function ipMonitor(): Observer {
  return lines("ip", ["-oneline", "monitor", "address"]);
}

const PYROUTE2 = `
import sys
from pyroute2 import IPRoute
with IPRoute() as ipr:
    ipr.bind()
    while True:
        for message in ipr.get():
            if message["event"] in ("RTM_NEWADDR", "RTM_DELADDR"):
                print(message.get_attr("IFA_LOCAL"), flush=True)
`;

function pyroute2(): Observer {
  return lines("/usr/bin/python3", ["-c", PYROUTE2]);
}

/** What programs do without a watcher: look once a second. */
function polling(): Observer {
  let known = new Set<string>();
  const look = (): Set<string> =>
    new Set(Object.values(networkInterfaces()).flat().map((a) => a?.address ?? ""));
  known = look();
  const timer = setInterval(() => {
    const now = look();
    for (const address of now.symmetricDifference(known)) observer.onAddress(address);
    known = now;
  }, 1000);
  const observer: Observer = {
    quick: false,
    onAddress() {},
    [Symbol.asyncDispose]() {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
  return observer;
}

let counter = 0;

/** Makes one change and tells how many milliseconds later it was known. */
async function sample(kernel: Kernel, index: number, observer: Observer): Promise<number> {
  const address = `10.9.${(counter >> 7) & 0xff}.${(counter & 0x7f) + 1}`;
  counter++;
  const took = await timed(observer, address, () => kernel.address("add", index, address, 32));
  await timed(observer, address, () => kernel.address("remove", index, address, 32));
  return took;
}

function timed(observer: Observer, address: string, change: () => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let start = 0;
    const limit = setTimeout(
      () => reject(new Error(`Cannot measure: ${address} was not seen in 10 s`)),
      10_000,
    );
    observer.onAddress = (seen) => {
      if (seen !== address) return;
      clearTimeout(limit);
      resolve(performance.now() - start);
    };
    // Alone means further apart than the even pace of readings in a burst, which is 20 ms.
    setTimeout(() => {
      start = performance.now();
      change();
    }, 25);
  });
}

async function slice(
  open: () => Observer | Promise<Observer>,
  kernel: Kernel,
  index: number,
  count: number,
): Promise<number[]> {
  await using observer = await open();
  if (observer.quick) await ready(kernel, index, observer);
  const samples: number[] = [];
  while (samples.length < count) samples.push(await sample(kernel, index, observer));
  return samples;
}

/** A tool says nothing when it begins to listen: changes are made until it speaks. */
async function ready(kernel: Kernel, index: number, observer: Observer): Promise<void> {
  let heard = false;
  observer.onAddress = () => heard = true;
  while (!heard) {
    kernel.address("add", index, "10.9.255.1", 32);
    await new Promise((resolve) => setTimeout(resolve, 10));
    kernel.address("remove", index, "10.9.255.1", 32);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, 30));
}

/** Changes a millisecond apart: when is each one known? */
async function burst(kernel: Kernel, index: number, count: number): Promise<number[]> {
  await using observer = await ours();
  await ready(kernel, index, observer);
  const started = new Map<string, number>();
  const samples: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  observer.onAddress = (address) => {
    const start = started.get(address);
    if (start === undefined) return;
    started.delete(address);
    samples.push(performance.now() - start);
    if (samples.length === count) resolve();
  };
  for (let n = 0; n < count; n++) {
    const address = `10.9.${100 + (n >> 7)}.${(n & 0x7f) + 1}`;
    started.set(address, performance.now());
    kernel.address("add", index, address, 32);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await promise;
  for (let n = 0; n < count; n++) {
    kernel.address("remove", index, `10.9.${100 + (n >> 7)}.${(n & 0x7f) + 1}`, 32);
  }
  return samples;
}

/**
 * Measures in interleaved slices, forth and back, with our own watcher twice as the control.
 *
 * @param kernel Where changes are made.
 * @param index The interface that gets them.
 * @param rounds How many slices of each.
 */
export async function latency(kernel: Kernel, index: number, rounds: number): Promise<Figure[]> {
  const variants = { ours, again: ours, ipMonitor, pyroute2, polling } as const;
  const samples: Record<keyof typeof variants, number[]> = {
    ours: [],
    again: [],
    ipMonitor: [],
    pyroute2: [],
    polling: [],
  };
  for (let round = 0; round < rounds; round++) {
    const order: (keyof typeof variants)[] = ["ours", "ipMonitor", "again"];
    if (round % 10 === 0) order.push("pyroute2");
    if (round % 20 === 0) order.push("polling");
    if (round % 2 === 1) order.reverse();
    for (const name of order) {
      samples[name].push(...await slice(variants[name], kernel, index, name === "polling" ? 2 : 10));
    }
  }
  const bursts = await burst(kernel, index, 400);
  const [own, again, tool] = [samples.ours, samples.again, samples.ipMonitor];
  const both = [...own, ...again];
  const control = median(own) / median(again);
  const off = control < 0.8 || control > 1.25 ? "VOID: the control is off" : "";
  return [
    figure("change -> event, ours, p50", median(both), "ms", 1, both.length),
    figure("change -> event, ours, p99", percentile(both, 0.99), "ms", 10, both.length),
    figure("change -> line of ip monitor, p50", median(tool), "ms", null, tool.length),
    figure("change -> line of ip monitor, p99", percentile(tool, 0.99), "ms", null, tool.length),
    figure("ours / ip monitor, p50", median(both) / median(tool), "x", 2, tool.length, off),
    figure("control: ours / ours, p50", control, "x", null, own.length),
    figure("change -> line of pyroute2, p50", median(samples.pyroute2), "ms", null, samples.pyroute2.length),
    figure(
      "ours / pyroute2, p50",
      median(both) / median(samples.pyroute2),
      "x",
      null,
      samples.pyroute2.length,
      off,
    ),
    figure(
      "change -> seen by polling each second, p50",
      median(samples.polling),
      "ms",
      null,
      samples.polling.length,
    ),
    figure(
      "change -> event inside a burst, max",
      Math.max(...bursts),
      "ms",
      30,
      bursts.length,
      "a change each ms",
    ),
  ];
}
