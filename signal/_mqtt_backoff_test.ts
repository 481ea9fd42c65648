import { assert, assertEquals } from "@std/assert";
import { delayOf } from "../recover/backoff.ts";
import { reconnectBackoff } from "./_mqtt_backoff.ts";

Deno.test("a link waits for two seconds at most in a short outage, and for a minute in a long one", () => {
  const backoff = reconnectBackoff(() => 0.999_999);
  const waits = Array.from({ length: 200 }, (_, attempt) => Math.round(delayOf(backoff, attempt, 0)));
  assertEquals(waits.slice(0, 5), [500, 1000, 2000, 2000, 2000]);
  assertEquals(waits.slice(119, 127), [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assertEquals(Math.max(...waits), 60_000);
});

Deno.test("chance spreads the waits of a link down to nothing", () => {
  assertEquals(delayOf(reconnectBackoff(() => 0), 5, 0), 0);
  const two = [0, 0].map(() => delayOf(reconnectBackoff(Math.random), 100, 0));
  assert(two[0] !== two[1]);
});
