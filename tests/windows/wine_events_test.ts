/** The native source of Windows under Wine: events, handles, and the end of the process. */

import { assert, assertEquals } from "@std/assert";
import { requires, scale } from "../_require.ts";
import { told, wine, WINE_TOOLS, wineIn } from "./_wine.ts";

const needs = requires({ os: ["linux"], tools: WINE_TOOLS });

/** What `events.ts` tells of one way to wait. */
interface EventsTold {
  readonly internals: boolean;
  readonly registered: number;
  readonly kept: number;
  readonly left: number;
  readonly latencies: readonly number[];
  readonly dns: readonly boolean[];
  readonly slept: number;
  readonly failures: readonly string[];
}

/** What `cycles.ts` tells of one way to open. */
interface CyclesTold {
  readonly cycles: number;
  /** The handles that are counted, and the lowest that is free; before, between and after. */
  readonly counts: readonly (readonly [number, number])[];
  readonly registered: number;
  readonly refused?: number;
}

Deno.test({
  name: "a call back of Windows and a change in the registry become hints, by both ways to wait",
  ...needs,
  async fn() {
    const ways = await told<EventsTold[]>("events.ts");
    assertEquals(ways.map(({ internals }) => internals), [true, false]);
    for (const { registered, kept, left, dns, failures, slept, latencies } of ways) {
      // Two sources share the three registrations, and the second keeps them until it is closed.
      assertEquals([registered, kept, left], [3, 3, 0]);
      assertEquals([dns, failures], [[true, true], []]);
      assertEquals(latencies.length, 5);
      // Two clocks are read, and a loaded machine may do something else in between.
      assert(Math.abs(slept) < 60_000, `asleep for ${slept} ms`);
    }
    console.log(
      `call back to hint: ${ways.map(({ latencies }) => Math.min(...latencies).toFixed(1)).join(", ")} ms`,
    );
  },
});

Deno.test({
  name: "opening and closing over and over leaves no handle, also where opening fails",
  ...needs,
  async fn() {
    const ways = await told<CyclesTold[]>("cycles.ts", { args: [`${scale(100, 1000)}`] });
    assertEquals(ways.length, 3);
    assert((ways.at(-1)?.refused ?? 0) >= scale(100, 1000) / 4);
    for (const { cycles, counts, registered } of ways) {
      assertEquals(registered, 0);
      for (const way of [0, 1]) {
        // A thread of the runtime's pool that starts meanwhile has handles of its own; a leak is there in each round.
        const growth = counts.slice(1).map((count, i) => (count[way] ?? NaN) - (counts[i]?.[way] ?? NaN));
        assert(
          Math.min(...growth) < cycles / growth.length / 2,
          `${cycles} cycles, handles: ${counts.join("; ")}`,
        );
      }
    }
  },
});

const ENDS = [
  ["end", 0, "blocked"],
  ["close", 0, "blocked"],
  ["exit", 7, "blocked"],
  ["error", 1, "blocked"],
  ["end", 0, "timer"],
  ["exit", 7, "timer"],
] as const;

for (const [way, expected, wait] of ENDS) {
  Deno.test({
    name: `a process ends by itself with a wait pending: ${way}, wait ${wait}`,
    ...needs,
    async fn() {
      const { code, stdout, stderr } = await (await wine()).script("exit.ts", { args: [way, wait] });
      assertEquals([code, JSON.parse(stdout)], [expected, { hints: 1, failures: [] }], stderr);
      assertEquals(way === "error" ? /on purpose/.test(stderr) : stderr === "", true, stderr);
    },
  });
}

Deno.test({
  name: "the exit code of Windows is reported where Wine kills what is left of the process",
  ...requires({ os: ["linux"], tools: [...WINE_TOOLS, "strace"] }),
  async fn() {
    const { folder, deno } = await wine();
    // So that the server of Wine is there, and is not slowed down as well.
    await deno(["--version"]);
    // The end in the kernel takes longer than the server waits for, as on a loaded machine.
    const slow = ["-e", "trace=exit_group", "-e", "inject=exit_group:delay_enter=4000000"];
    const slowed = wineIn(folder, {
      wrap: (command) => ["strace", "-f", "-o", "/dev/null", ...slow, ...command],
    });
    const { code, stdout, unix } = await slowed.deno(["eval", "console.log('all of it'); Deno.exit(7)"]);
    assertEquals({ code, stdout, unix }, { code: 7, stdout: "all of it\n", unix: 128 + 9 });
  },
});
