import { assert, assertEquals } from "@std/assert";
import { MAX_RTO, MIN_RTO, RoundTrips } from "./_rtt.ts";

Deno.test("RoundTrips wait a second before anything was measured, then four variances more than usual, within bounds", () => {
  const trips = new RoundTrips();
  assertEquals([trips.smoothed, trips.timeout, trips.usual], [null, 1_000, MIN_RTO]);
  trips.add(400);
  assertEquals([trips.smoothed, trips.timeout], [400, 400 + 4 * 200]);
  for (let i = 0; i < 200; i++) trips.add(400);
  assert(Math.abs(trips.timeout - 400) < 1, `${trips.timeout}`);
  for (let i = 0; i < 200; i++) trips.add(2);
  assertEquals(trips.timeout, MIN_RTO);
  assert(trips.usual < 30, `${trips.usual}`);
  trips.add(1_000_000);
  assertEquals(trips.timeout, MAX_RTO);
});

Deno.test("RoundTrips double with each attempt up to eight seconds, with jitter of a tenth", () => {
  const trips = new RoundTrips();
  for (let i = 0; i < 200; i++) trips.add(2);
  const waits = [1, 2, 3, 4, 5, 6, 7, 100].map((attempt) => trips.retryAfter(attempt, 0.5));
  assertEquals(waits.map(Math.round), [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  assertEquals([trips.retryAfter(1, 0), Math.round(trips.retryAfter(1, 1))], [225, 275]);
});
