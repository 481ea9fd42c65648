/** What relay() costs beside `readable.pipeTo(writable)` of the runtime's own connections. */

import process from "node:process";
import { connect } from "../pipes/connect.ts";
import { relay } from "../pipes/relay.ts";
import { type Figure, figure, median } from "./_figure.ts";

const MIB = 1024 * 1024;
const hostname = "127.0.0.1";

/** The ports of the other process. */
interface Ports {
  readonly source: number;
  readonly sink: number;
}

/** Relays what the source sends when it is asked, to the sink; gives what the sink has counted. */
type Variant = (ports: Ports, ask: Uint8Array<ArrayBuffer>) => Promise<number>;

/** The least that a relay of streams can be: one way, and without a word about failures. */
async function byPipeTo(ports: Ports, ask: Uint8Array<ArrayBuffer>): Promise<number> {
  using from = await Deno.connect({ hostname, port: ports.source });
  using to = await Deno.connect({ hostname, port: ports.sink });
  await from.write(ask);
  await from.readable.pipeTo(to.writable, { preventClose: true });
  await to.closeWrite();
  return Number(await new Response(to.readable).text());
}

async function byRelay(ports: Ports, ask: Uint8Array<ArrayBuffer>): Promise<number> {
  const from = await connect(`tcp://${hostname}:${ports.source}`);
  const to = await connect(`tcp://${hostname}:${ports.sink}`);
  await from.send(ask);
  // The sink's answer goes to the source, which does not care.
  return (await relay(from, to)).aToB.bytes;
}

/**
 * Measures relays.
 *
 * @param rounds How often each variant is run.
 */
export async function relays(rounds: number): Promise<Figure[]> {
  const program = new URL("_relay_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", program], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const ports: Ports = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  const figures: Figure[] = [];
  for (const size of [64 * 1024, 1024]) figures.push(...await compare(ports, size, rounds));
  child.kill();
  await reader.cancel();
  await child.status;
  return figures;
}

async function compare(ports: Ports, size: number, rounds: number): Promise<Figure[]> {
  const variants: readonly (readonly [string, Variant])[] = [
    ["plain", byPipeTo],
    ["ours", byRelay],
    ["control", byPipeTo],
  ];
  const bytes = size >= 16 * 1024 ? 128 * MIB : 16 * MIB;
  const ask = new TextEncoder().encode(`${size} ${bytes / size}`);
  const time: Record<string, number[]> = {};
  const cpu: Record<string, number[]> = {};
  for (let n = -1; n < rounds; n++) {
    for (const [name, variant] of n % 2 === 0 ? variants : variants.toReversed()) {
      const [began, before] = [performance.now(), process.cpuUsage()];
      const counted = await variant(ports, ask);
      if (counted !== bytes) throw new Error(`Cannot measure: ${counted} bytes arrived, not ${bytes}`);
      const { user, system } = process.cpuUsage(before);
      // The first round warms the compiler up.
      if (n < 0) continue;
      (time[name] ??= []).push(performance.now() - began);
      (cpu[name] ??= []).push((user + system) / 1000 / (bytes / MIB));
    }
  }
  const of = (all: Record<string, number[]>, name: string): number => median(all[name] ?? []);
  const note = (name: string): string =>
    `${(bytes / MIB / of(time, name) * 1000).toFixed(0)} MiB/s, ${of(cpu, name).toFixed(2)} ms CPU/MiB`;
  const kib = `${size / 1024} KiB writes`;
  const row = (what: string, name: string, all: Record<string, number[]>, target: number | null): Figure =>
    figure(`relay: ${what}, ${kib}`, of(all, name) / of(all, "plain"), "x", target, rounds, note(name));
  return [
    row("control, pipeTo beside itself", "control", time, null),
    row("time beside pipeTo", "ours", time, 1),
    row("CPU beside pipeTo", "ours", cpu, 1),
  ];
}
