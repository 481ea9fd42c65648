/** The native source of Windows under Wine: events, handles, and the end of the process. */

import { assert, assertEquals } from "@std/assert";
import { requires, scale } from "../_require.ts";
import { told, wine, WINE_TOOLS } from "./_wine.ts";

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
      assert(Math.abs(slept) < 1000, `asleep for ${slept} ms`);
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
    const rounds = await told<{ before: number[]; after: number[]; registered: number; refused?: number }[]>(
      "cycles.ts",
      { args: [`${scale(100, 1000)}`] },
    );
    assertEquals(rounds.length, 3);
    assertEquals(rounds.at(-1)?.refused, Math.ceil(scale(100, 1000) / 4));
    for (const { before, after, registered } of rounds) {
      assertEquals(registered, 0);
      // A thread of the runtime's pool that starts or ends meanwhile has a few handles of its own.
      for (const [i, count] of after.entries()) {
        assert(count <= (before[i] ?? 0) + 30, `${before} handles before, ${after} after`);
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
