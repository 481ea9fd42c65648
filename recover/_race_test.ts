import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { Race } from "./_race.ts";

/** A race whose attempts end when the test says so. */
class Track {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly #ends = new Map<string, PromiseWithResolvers<string>>();
  readonly race: Race<string> = new Race<string>({
    clock: this.clock,
    delay: 250,
    discard: (value) => void this.log.push(`discard ${value}`),
    sort: (addresses) => addresses.toSorted(),
    attempt: ({ address }, signal) => {
      this.log.push(`${this.clock.monotonic()} ${address}`);
      const end = Promise.withResolvers<string>();
      this.#ends.set(address, end);
      signal.addEventListener("abort", () => {
        this.log.push(`abort ${address}`);
        if (!this.stubborn) end.reject(signal.reason);
      });
      return end.promise;
    },
  });
  stubborn = false;
  succeed(address: string): void {
    this.#ends.get(address)?.resolve(address.toUpperCase());
  }
  fail(address: string): void {
    this.#ends.get(address)?.reject(new Error(address));
  }
  get outcomes(): readonly string[] {
    return this.race.attempts.map(({ address, outcome, started, ended }) =>
      `${address} ${outcome} ${started}-${ended}`
    );
  }
}

Deno.test("a race starts one attempt per delay, and calls the others off when one wins", async () => {
  const track = new Track();
  track.race.join(["a", "b", "c"]);
  track.race.complete();
  await track.clock.tickAsync(499);
  assertEquals(track.log, ["0 a", "250 b"]);
  await track.clock.tickAsync(1);
  assertEquals(track.log.at(-1), "500 c");
  track.succeed("b");
  const result = await track.race.result;
  assertEquals(result.won && result.value, "B");
  assertEquals(track.log.slice(3), ["abort a", "abort c"]);
  assertEquals(track.outcomes, ["a abandoned 0-500", "b won 250-500", "c abandoned 500-500"]);
  assertEquals(track.clock.pending, 0);
});

Deno.test("a failure starts the next attempt at once, also while another one is pending", async () => {
  const track = new Track();
  track.race.join(["a", "b", "c"]);
  track.race.complete();
  await track.clock.tickAsync(250);
  await track.clock.tickAsync(10);
  track.fail("a");
  await track.clock.tickAsync(0);
  assertEquals(track.log, ["0 a", "250 b", "260 c"]);
  track.fail("b");
  track.fail("c");
  assertEquals(await track.race.result, { won: false });
  assertEquals(track.race.attempts.map(({ error }) => (error as Error).message), ["a", "b", "c"]);
  assertEquals(track.clock.pending, 0);
});

Deno.test("an address that comes late is sorted in, and does not wait when its turn is overdue", async () => {
  const track = new Track();
  track.race.join(["c", "d"]);
  await track.clock.tickAsync(100);
  track.race.join(["b", "c"]);
  await track.clock.tickAsync(150);
  assertEquals(track.log, ["0 c", "250 b"]);
  await track.clock.tickAsync(1000);
  track.race.join(["a"]);
  assertEquals(track.log, ["0 c", "250 b", "500 d", "1250 a"]);
  track.race.abort(new Error("enough"));
  await assertRejects(() => track.race.result, Error, "enough");
});

Deno.test("a race without anybody is lost when nobody will join, and not before", async () => {
  const track = new Track();
  track.race.join(["a"]);
  track.fail("a");
  let over = false;
  void track.race.result.then(() => over = true);
  await track.clock.tickAsync(60_000);
  assertEquals(over, false);
  track.race.complete();
  await track.clock.tickAsync(0);
  assertEquals(over, true);
});

Deno.test("a race is not over before every attempt has ended, and what a loser still gives is discarded", async () => {
  const track = new Track();
  track.stubborn = true;
  track.race.join(["a", "b"]);
  await track.clock.tickAsync(250);
  track.succeed("b");
  let over = false;
  void track.race.result.then(() => over = true);
  await track.clock.tickAsync(0);
  assertEquals(over, false);
  track.succeed("a");
  await track.clock.tickAsync(0);
  assertEquals(over, true);
  assertEquals(track.log.slice(2), ["abort a", "discard A"]);
});

Deno.test("two that succeed at the same moment make one winner", async () => {
  const track = new Track();
  track.stubborn = true;
  track.race.join(["a", "b"]);
  await track.clock.tickAsync(250);
  track.succeed("a");
  track.succeed("b");
  const result = await track.race.result;
  assertEquals(result.won && result.value, "A");
  assertEquals(track.log.at(-1), "discard B");
});

Deno.test("an aborted race ends its attempts, starts none any more, and gives the reason", async () => {
  const track = new Track();
  const reason = new Error("no more");
  track.race.join(["a", "b"]);
  track.race.abort(reason);
  assertStrictEquals(await assertRejects(() => track.race.result), reason);
  track.race.join(["c"]);
  await track.clock.tickAsync(1000);
  assertEquals(track.log, ["0 a", "abort a"]);
  assertEquals(track.clock.pending, 0);
});

Deno.test("what a change of the network hit starts anew at once; the rest goes on", async () => {
  const track = new Track();
  track.race.join(["a", "b"]);
  await track.clock.tickAsync(300);
  track.race.restart(({ address }) => address === "a");
  await track.clock.tickAsync(0);
  assertEquals(track.log, ["0 a", "250 b", "abort a", "300 a"]);
  track.succeed("a");
  await track.race.result;
  assertEquals(track.outcomes, ["a abandoned 0-300", "b abandoned 250-300", "a won 300-300"]);
});

Deno.test("a network that changes for ever does not keep a race alive", async () => {
  const track = new Track();
  track.race.join(["a"]);
  track.race.complete();
  for (let n = 0; n < 100; n++) {
    track.race.restart(() => true);
    await track.clock.tickAsync(0);
  }
  track.fail("a");
  assertEquals(await track.race.result, { won: false });
  assertEquals(track.race.attempts.length, 9);
});

Deno.test("a thousand addresses are not all tried", async () => {
  const track = new Track();
  track.race.join(Array.from({ length: 1000 }, (_, n) => `a${n}`));
  await track.clock.tickAsync(1_000_000);
  assertEquals(track.race.attempts.length, 32);
  track.race.abort(new Error("enough"));
  await assertRejects(() => track.race.result);
});

Deno.test("a race that is called off while its losers end has no winner, whose value is given back", async () => {
  const track = new Track();
  track.stubborn = true;
  track.race.join(["a", "b"]);
  track.race.complete();
  await track.clock.tickAsync(250);
  track.succeed("b");
  await track.clock.tickAsync(0);
  assertEquals(track.outcomes, ["a abandoned 0-250", "b won 250-250"]);
  track.race.abort(new Error("enough"));
  track.fail("a");
  await assertRejects(() => track.race.result, Error, "enough");
  assertEquals(track.log.at(-1), "discard B");
});
