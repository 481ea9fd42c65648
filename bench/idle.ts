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

/** Runs the program, waits until it says that it is at rest, and watches it. */
async function measure(mode: "bare" | "watch", seconds: number): Promise<{ ticks: number; threads: number }> {
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", PROGRAM, mode],
    stdout: "piped",
    stdin: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
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
    figure(`idle for ${seconds} s, CPU ticks`, watch.ticks, "ticks", 1, 1, `a bare process: ${bare.ticks}`),
    figure("threads beyond a bare process", watch.threads - bare.threads, "threads", 0, 1),
  ];
}
