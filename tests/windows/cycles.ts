/** Run under Wine: opens and closes the native source over and over, and counts the handles of the process. */

import { systemClock } from "../../internal/clock.ts";
import { openWindowsSource } from "../../watch/_source_windows.ts";
import { windowsReader } from "../../watch/_read_windows.ts";
import { Ears, notifying } from "./_notifying.ts";

const kernel = Deno.dlopen("C:\\Windows\\System32\\kernel32.dll", {
  GetCurrentProcess: { parameters: [], result: "pointer" },
  CreateEventW: { parameters: ["usize", "i32", "i32", "usize"], result: "usize" },
  CloseHandle: { parameters: ["usize"], result: "i32" },
  GetProcessHandleCount: { parameters: ["pointer", "buffer"], result: "i32" },
});

type Handles = readonly [counted: number, free: number];

/** How often handles are counted on the way. */
const ROUNDS = 4;

/** What the system counts, which is nothing under Wine 8; and there the lowest number that is free. */
function handles(): Handles {
  const count = new Uint32Array(1);
  kernel.symbols.GetProcessHandleCount(kernel.symbols.GetCurrentProcess(), new Uint8Array(count.buffer));
  const probe = kernel.symbols.CreateEventW(0n, 0, 0, 0n);
  kernel.symbols.CloseHandle(probe);
  return [count[0] ?? 0, Number(probe) / 4];
}

/** Does something over and over, and counts before, between and after. */
async function counted(cycles: number, cycle: (i: number) => Promise<void>): Promise<readonly Handles[]> {
  const counts = [handles()];
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < cycles / ROUNDS; i++) await cycle(i);
    counts.push(handles());
  }
  return counts;
}

const [count = "100"] = Deno.args;
/** The other ways are the same but for the wait; a quarter shows a leak as well. */
const fewer = Math.ceil(Number(count) / 4);
const told = [];
for (const [internals, cycles] of [[true, Number(count)], [false, fewer]] as const) {
  const windows = notifying();
  const cycle = async (i: number): Promise<void> => {
    const ears = new Ears();
    const source = await openWindowsSource(ears, systemClock, { acquire: windows.acquire, internals });
    if (i % 5 === 0) await source.read();
    if (internals) {
      windows.fire();
      await ears.heard(1);
    }
    await source[Symbol.asyncDispose]();
    if (ears.failures.length > 0) throw new Error(ears.failures.join());
  };
  // The pool of the runtime starts its threads, each with handles of its own, as it is used.
  for (let i = 0; i < 15; i++) await cycle(i);
  told.push({ cycles, counts: await counted(cycles, cycle), registered: windows.registered });
}
// Where it cannot be opened nothing may be left either: Wine's own notifications are stubs.
let refused = 0;
const counts = await counted(fewer, async (i) => {
  await openWindowsSource(new Ears()).catch(() => refused++);
  using reader = windowsReader();
  if (i % 5 === 0) await reader.read();
});
told.push({ cycles: fewer, counts, registered: 0, refused });
console.log(JSON.stringify(told));
