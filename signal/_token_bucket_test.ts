import { assertEquals } from "@std/assert";
import { TokenBucket } from "./_token_bucket.ts";

/** How many of a hundred it lets through at one time. */
function taken(bucket: TokenBucket, now: number): number {
  return Array.from({ length: 100 }, () => bucket.take(now)).filter(Boolean).length;
}

Deno.test("a bucket lets a burst through, and then as much as comes back", () => {
  const bucket = new TokenBucket({ perSecond: 5, burst: 20 }, 0);
  assertEquals(taken(bucket, 0), 20);
  assertEquals(taken(bucket, 199), 0);
  assertEquals(taken(bucket, 200), 1);
  assertEquals(taken(bucket, 1200), 5);
});

Deno.test("a bucket never holds more than its burst", () => {
  const bucket = new TokenBucket({ perSecond: 5, burst: 20 }, 0);
  assertEquals(taken(bucket, 0), 20);
  assertEquals(taken(bucket, 3_600_000), 20);
});

Deno.test("a bucket without rate lets everything through, and a clock that goes back takes nothing away", () => {
  assertEquals(taken(new TokenBucket(null, 0), 0), 100);
  const bucket = new TokenBucket({ perSecond: 1, burst: 2 }, 1000);
  assertEquals(bucket.take(0), true);
  assertEquals(bucket.take(0), true);
  assertEquals(bucket.take(0), false);
});
