import { assert, assertEquals } from "@std/assert";
import { ReplayStore } from "./_replay.ts";

Deno.test("ReplayStore counts what was acknowledged before it was sent again as taken", () => {
  const store = new ReplayStore(0, 1 << 20);
  const data = new Uint8Array(300_000);
  assertEquals(store.write(data), data.length);
  while (store.take());
  assertEquals(store.taken, data.length);
  store.rewind(0);
  assertEquals(store.taken, 0);
  store.acknowledge(100_000);
  assert(store.taken > 0 && store.taken <= 100_000, `${store.taken}`);
  assert(store.take());
  assert(store.taken > 100_000, `${store.taken}`);
  store.acknowledge(data.length);
  assertEquals([store.taken, store.end, store.take()], [data.length, data.length, undefined]);
});
