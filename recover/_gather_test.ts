import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { type AddressRecord, type DialResolver, gather, type GatherFailure } from "./_gather.ts";
import { TimeoutError } from "./timeout.ts";

interface Answer {
  /** After how many milliseconds; never without. */
  readonly at?: number;
  readonly addresses?: readonly string[];
  readonly error?: Error;
}

type Answers = Readonly<Record<AddressRecord, Answer>>;

/** Asks resolvers that answer when they are told to, for a while, and tells what was found when. */
async function run(
  stages: readonly Answers[],
  milliseconds: number,
  types: readonly AddressRecord[] = ["AAAA", "A"],
): Promise<
  { found: string[]; failures: readonly GatherFailure[] | undefined; asked: number; pending: number }
> {
  const clock = new FakeClock();
  const found: string[] = [];
  let asked = 0;
  const resolvers = stages.map((answers): DialResolver => (_, type) => {
    asked++;
    const { at, addresses = [], error } = answers[type];
    return new Promise((resolve, reject) => {
      if (at !== undefined) clock.after(at, () => error ? reject(error) : resolve(addresses));
    });
  });
  const stop = new AbortController();
  const options = { hostname: "a.test", types, resolvers, resolutionDelay: 50, timeout: 3000, clock };
  let failures: readonly GatherFailure[] | undefined;
  const done = gather({
    ...options,
    signal: stop.signal,
    found: (addresses) => void found.push(`${clock.monotonic()} ${addresses.join()}`),
  }).then((result) => failures = result, () => {});
  await clock.tickAsync(milliseconds);
  await clock.tickAsync(0);
  const seen = { found: [...found], failures, asked };
  stop.abort();
  await done;
  return { ...seen, pending: clock.pending };
}

const V4 = { at: 10, addresses: ["192.0.2.1"] };
const V6 = { at: 20, addresses: ["2001:db8::1"] };

Deno.test("the preferred family is used as soon as it is there", async () => {
  assertEquals((await run([{ A: { ...V4, at: 30 }, AAAA: V6 }], 100)).found, [
    "20 2001:db8::1",
    "30 192.0.2.1",
  ]);
  assertEquals((await run([{ A: V4, AAAA: V6 }], 100, ["A", "AAAA"])).found, [
    "10 192.0.2.1",
    "20 2001:db8::1",
  ]);
});

Deno.test("the other family waits 50 ms for the preferred one, and no longer", async () => {
  assertEquals((await run([{ A: V4, AAAA: V6 }], 100)).found, ["20 2001:db8::1", "20 192.0.2.1"]);
  const late = await run([{ A: V4, AAAA: { ...V6, at: 200 } }], 300);
  assertEquals(late.found, ["60 192.0.2.1", "200 2001:db8::1"]);
  const lost = await run([{ A: V4, AAAA: {} }], 300);
  assertEquals([lost.found, lost.failures, lost.pending], [["60 192.0.2.1"], undefined, 0]);
});

Deno.test("the other family waits no longer than until the preferred one is known to have no address", async () => {
  const empty = await run([{ A: V4, AAAA: { at: 30 } }], 300);
  assertEquals([empty.found, empty.failures], [["30 192.0.2.1"], []]);
  const failed = await run([{ A: V4, AAAA: { at: 30, error: new Error("servfail") } }], 300);
  assertEquals(failed.found, ["30 192.0.2.1"]);
  assertEquals(failed.failures?.map(({ type, ended }) => `${type} ${ended}`), ["AAAA 30"]);
});

Deno.test("the next resolver is asked only where the one before knows nothing", async () => {
  const nothing = { A: { at: 5 }, AAAA: { at: 6, error: new Error("NXDOMAIN") } };
  const second = await run([nothing, { A: V4, AAAA: V6 }, { A: V4, AAAA: V6 }], 300);
  assertEquals([second.asked, second.found], [4, ["26 2001:db8::1", "26 192.0.2.1"]]);
  assertEquals((await run([{ A: V4, AAAA: { at: 1 } }, { A: V4, AAAA: V6 }], 300)).asked, 2);
  const none = await run([nothing, nothing], 300);
  assertEquals([none.asked, none.failures?.length], [4, 1]);
});

Deno.test("a resolver that is silent is given up at the deadline, and the next one is not asked", async () => {
  const { found, failures, asked, pending } = await run([{ A: {}, AAAA: {} }, { A: V4, AAAA: V6 }], 3000);
  assertEquals([found, asked, pending], [[], 2, 0]);
  assert(failures?.every(({ error, ended }) => error instanceof TimeoutError && ended === 3000));
  const timedOut = { at: 5, error: new Deno.errors.TimedOut("request timed out") };
  assertEquals((await run([{ A: timedOut, AAAA: timedOut }, { A: V4, AAAA: V6 }], 100)).asked, 2);
});

Deno.test("one family alone is asked for, and waits for nothing", async () => {
  const { found, asked } = await run([{ A: V4, AAAA: V6 }], 100, ["A"]);
  assertEquals([found, asked], [["10 192.0.2.1"], 1]);
});

Deno.test("gather() that is called off rejects with the reason, and finds nothing any more", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const answer = Promise.withResolvers<string[]>();
  const found: unknown[] = [];
  const pending = gather({
    hostname: "a.test",
    types: ["AAAA", "A"],
    resolvers: [() => answer.promise],
    resolutionDelay: 50,
    timeout: 3000,
    clock,
    signal: stop.signal,
    found: (addresses) => found.push(addresses),
  });
  const reason = new Error("enough");
  stop.abort(reason);
  assertStrictEquals(await assertRejects(() => pending), reason);
  answer.resolve(["192.0.2.1"]);
  await clock.tickAsync(5000);
  assertEquals([found, clock.pending], [[], 0]);
});
