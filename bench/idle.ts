/** What a watcher costs while nothing happens, measured on a process of its own. */

import { type Figure, figure } from "./_figure.ts";

const PROGRAM = new URL("./_idle_program.ts", import.meta.url).pathname;

/** CPU ticks (of 10 ms) that a process has used, and how many threads it has. */
async function usage(pid: number): Promise<{ ticks: number; threads: number }> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15, num_threads is 20 (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { ticks: Number(fields[11]) + Number(fields[12]), threads: Number(fields[17]) };
}

/** How long a process must use nothing to count as at rest, and how long that is waited for, in seconds. */
const REST = 12;
const PATIENCE = 90;

/** Start-up goes on in the background for a while, in a bare process too: compiling, collecting, giving memory back. */
async function comeToRest(pid: number): Promise<void> {
  let { ticks } = await usage(pid);
  let still = 0;
  for (let second = 0; still < REST && second < PATIENCE; second++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = (await usage(pid)).ticks;
    still = now === ticks ? still + 1 : 0;
    ticks = now;
  }
}

/** Runs the program, waits until it is at rest, and watches it. */
async function measure(mode: "bare" | "watch", seconds: number): Promise<{ ticks: number; threads: number }> {
  await using child = new Deno.Command(Deno.execPath(), {
    // V8 tidies its heap up once, about half a minute after the start of any program; that is not ours to count.
    args: ["run", "-A", "--quiet", "--v8-flags=--no-memory-reducer", PROGRAM, mode],
    stdout: "piped",
    stdin: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await comeToRest(child.pid);
  const before = await usage(child.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await usage(child.pid);
  await reader.cancel();
  return { ticks: after.ticks - before.ticks, threads: after.threads };
}

/**
 * Measures an idle process with resolver watch, wake timer and external check on, beside one that only waits.
 *
 * @param seconds How long.
 */
export async function idle(seconds: number): Promise<Figure[]> {
  const [bare, watch] = await Promise.all([measure("bare", seconds), measure("watch", seconds)]);
  return [
    figure(
      `idle for ${seconds} s, CPU ticks`,
      watch.ticks,
      "ticks",
      1,
      1,
      `a bare process: ${bare.ticks}; without V8's tidying up`,
    ),
    figure("threads beyond a bare process", watch.threads - bare.threads, "threads", 0, 1),
  ];
}
