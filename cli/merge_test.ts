import { assertEquals } from "@std/assert";
import { Broadcast } from "../internal/events.ts";
import { merge } from "./merge.ts";

interface Numbered {
  readonly type: string;
  readonly n: number;
}

const broadcast = (): Broadcast<Numbered> =>
  new Broadcast<Numbered>({ resync: () => ({ type: "resync", n: 0 }) });

Deno.test("merge() gives what was published in that order, however slowly it is taken", async () => {
  const events = broadcast();
  const changes = broadcast();
  const merged = merge(events[Symbol.asyncIterator](), changes[Symbol.asyncIterator]());
  const first = merged.next();
  events.publish({ type: "event", n: 1 });
  await first;
  // Nothing is taken while these are published.
  events.publish({ type: "event", n: 2 });
  events.publish({ type: "event", n: 3 });
  changes.publish({ type: "change", n: 4 });
  events.end();
  changes.end();
  const rest: number[] = [];
  for await (const { n } of merged) rest.push(n);
  assertEquals(rest, [2, 3, 4]);
});

Deno.test("merge() goes on with one stream when the other has ended", async () => {
  const events = broadcast();
  const changes = broadcast();
  const merged = merge(events[Symbol.asyncIterator](), changes[Symbol.asyncIterator]());
  const first = merged.next();
  changes.end();
  events.publish({ type: "event", n: 1 });
  assertEquals((await first).value, { type: "event", n: 1 });
  events.publish({ type: "event", n: 2 });
  assertEquals((await merged.next()).value, { type: "event", n: 2 });
  events.end();
  assertEquals((await merged.next()).done, true);
});
