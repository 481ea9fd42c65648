import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { scale, seed } from "../tests/_require.ts";
import { Pace } from "./_pace.ts";

Deno.test("the first hint after a calm time is read at once", () => {
  const pace = new Pace();
  assertEquals(pace.delay(0), 0);
  for (let n = 0; n < 50; n++) pace.taken(n);
  assertEquals(pace.delay(49), 20);
  assertEquals(pace.delay(150), 0);
});

Deno.test("five readings of a burst stand 2 ms apart, further ones 20 ms", () => {
  const pace = new Pace();
  const times: number[] = [];
  for (let now = 1000; times.length < 9; now += 0.5) {
    if (pace.delay(now) > 0) continue;
    times.push(now - 1000);
    pace.taken(now);
  }
  assertEquals(times, [0, 2, 4, 6, 8, 28, 48, 68, 88]);
});

Deno.test("a calm time begins a new burst", () => {
  const pace = new Pace();
  for (let n = 0; n < 10; n++) pace.taken(n);
  assertEquals(pace.delay(110), 0);
  pace.taken(110);
  assertEquals(pace.delay(110), 2);
});

Deno.test("property: no hint waits more than 20 ms, and no second of a steady stream sees more than 54 readings", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 300 }), (gaps) => {
      const pace = new Pace();
      const readings: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const delay = pace.delay(now);
        assert(delay >= 0 && delay <= 20);
        now += delay;
        pace.taken(now);
        readings.push(now);
      }
      for (const start of readings) {
        const within = readings.filter((time) => time >= start && time < start + 1000).length;
        // Five within the first 8 ms, then one every 20 ms; without 100 ms of calm there is no second burst.
        assert(within <= 54, `${within} readings in a second`);
      }
    }),
    { seed: seed(), numRuns: scale(200) },
  );
});
