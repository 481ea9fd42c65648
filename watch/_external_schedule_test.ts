import { assert, assertEquals, assertThrows } from "@std/assert";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { silentLogger } from "../internal/log.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { startStunServer } from "../testing/stun_server.ts";
import { createExternalSchedule, type ExternalSchedule } from "./_external_schedule.ts";
import type { ExternalAddress, ExternalAddressOptions, ExternalFamilyResult } from "./external.ts";
import type { ExternalAddresses } from "./state.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

function seen(address: string | null, port = 1): ExternalAddress {
  const v4: ExternalFamilyResult | null = address === null ? null : {
    address,
    port,
    agreed: 2,
    answered: 3,
    agreement: "confirmed",
    mapping: "unknown",
    local: { address: null, port: 9 },
  };
  return { v4, v6: null, servers: [] };
}

/** A schedule whose asks are kept, to be answered by the test. */
class Rig implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly asks: {
    at: number;
    options: ExternalAddressOptions;
    answer: PromiseWithResolvers<ExternalAddress>;
  }[] = [];
  readonly results: ExternalAddresses[] = [];
  readonly warnings: string[] = [];
  readonly schedule: ExternalSchedule;

  constructor(random = 0.5, options: ExternalAddressOptions = { servers: ["192.0.2.1"] }) {
    this.schedule = createExternalSchedule({
      options,
      clock: this.clock,
      random: () => random,
      logger: { ...silentLogger, warn: (message) => this.warnings.push(message) },
      onResult: (addresses) => this.results.push(addresses),
      ask: (options) => {
        const answer = Promise.withResolvers<ExternalAddress>();
        options.signal?.addEventListener("abort", () => answer.reject(options.signal?.reason));
        this.asks.push({ at: this.clock.monotonic(), options, answer });
        return answer.promise;
      },
    });
  }

  get times(): number[] {
    return this.asks.map(({ at }) => at);
  }

  /** Answers the last ask. */
  async answer(result: ExternalAddress | Error): Promise<void> {
    const { answer } = this.asks.at(-1) ?? {};
    if (result instanceof Error) answer?.reject(result);
    else answer?.resolve(result);
    await this.clock.tickAsync(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.schedule.close();
  }
}

Deno.test("createExternalSchedule() asks nobody before the first refresh, and then at once", async () => {
  await using rig = new Rig();
  await rig.clock.tickAsync(60 * MINUTE);
  assertEquals(rig.asks.length, 0);
  rig.schedule.refresh();
  assertEquals(rig.times, [60 * MINUTE]);
});

Deno.test("createExternalSchedule() hands on the addresses and how many servers agree, and no more", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  await rig.answer(seen("203.0.113.1"));
  assertEquals(rig.results, [{ v4: { address: "203.0.113.1", agreed: 2, answered: 3 }, v6: null }]);
});

Deno.test("createExternalSchedule() asks after 1, 5 and 15 minutes while nothing changes", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  for (let i = 0; i < 6; i++) {
    await rig.answer(seen("203.0.113.1"));
    await rig.clock.tickAsync(15 * MINUTE);
  }
  const waits = rig.times.slice(1).map((at, i) => at - (i < 1 ? 0 : i * 15 * MINUTE));
  assertEquals(waits, [1, 5, 15, 15, 15, 15].map((minutes) => minutes * MINUTE));
});

Deno.test("createExternalSchedule() takes another port for no change, and another address for one", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  await rig.answer(seen("203.0.113.1", 1));
  await rig.clock.tickAsync(1 * MINUTE);
  await rig.answer(seen("203.0.113.1", 2));
  await rig.clock.tickAsync(5 * MINUTE);
  assertEquals(rig.times, [0, 1, 6].map((minutes) => minutes * MINUTE));
  await rig.answer(seen("203.0.113.2", 2));
  await rig.clock.tickAsync(1 * MINUTE);
  assertEquals(rig.times.at(-1), 7 * MINUTE);
});

Deno.test("createExternalSchedule() puts each ask off or on by up to a tenth", async () => {
  for (const [random, expected] of [[0, 54 * SECOND], [1, 66 * SECOND]] as const) {
    await using rig = new Rig(random);
    rig.schedule.refresh();
    await rig.answer(seen("203.0.113.1"));
    await rig.clock.tickAsync(expected - 1);
    assertEquals(rig.asks.length, 1);
    await rig.clock.tickAsync(1);
    assertEquals(rig.asks.length, 2);
  }
});

Deno.test("createExternalSchedule() tries again after 10 s when nobody has answered, once, then slowly", async () => {
  await using rig = new Rig(0);
  rig.schedule.refresh();
  await rig.answer(seen(null));
  await rig.clock.tickAsync(10 * SECOND);
  assertEquals(rig.times, [0, 10 * SECOND]);
  await rig.answer(seen(null));
  await rig.clock.tickAsync(53 * SECOND);
  assertEquals(rig.asks.length, 2);
  await rig.clock.tickAsync(1 * SECOND);
  assertEquals(rig.asks.length, 3);
  assertEquals(rig.results, [{ v4: null, v6: null }, { v4: null, v6: null }]);
});

Deno.test("createExternalSchedule() drops what is under way when the network changes, and asks anew", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  await rig.clock.tickAsync(2 * SECOND);
  rig.schedule.refresh();
  assertEquals(rig.times, [0, 2 * SECOND]);
  assert(rig.asks[0]?.options.signal?.aborted);
  // An answer that was already on its way belongs to the network before.
  rig.asks[0]?.answer.resolve(seen("203.0.113.1"));
  await rig.answer(seen("203.0.113.2"));
  assertEquals(rig.results.map(({ v4 }) => v4?.address), ["203.0.113.2"]);
});

Deno.test("createExternalSchedule() makes one ask a second of a shower of changes", async () => {
  await using rig = new Rig();
  for (let i = 0; i < 30; i++) {
    rig.schedule.refresh();
    await rig.clock.tickAsync(100);
  }
  assertEquals(rig.times, [0, 1 * SECOND, 2 * SECOND, 3 * SECOND]);
});

Deno.test("createExternalSchedule() begins its waits anew after a change", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  await rig.answer(seen("203.0.113.1"));
  await rig.clock.tickAsync(1 * MINUTE);
  await rig.answer(seen("203.0.113.1"));
  rig.schedule.refresh();
  await rig.clock.tickAsync(1 * SECOND);
  await rig.answer(seen("203.0.113.1"));
  await rig.clock.tickAsync(1 * MINUTE);
  assertEquals(rig.times.map((at) => at / SECOND), [0, 60, 61, 121]);
});

Deno.test("createExternalSchedule() says that no address is known when no server has one, and goes on", async () => {
  await using rig = new Rig(0);
  rig.schedule.refresh();
  await rig.answer(new HoldfastError("Cannot ask", { code: "external-unreachable", operation: "ask" }));
  assertEquals([rig.results, rig.warnings], [[{ v4: null, v6: null }], ["Cannot ask"]]);
  await rig.clock.tickAsync(10 * SECOND);
  assertEquals(rig.asks.length, 2);
});

Deno.test("createExternalSchedule() reports a missing permission once, and asks again only after a change", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  await rig.answer(new PermissionError("ask", ["--allow-net"]));
  assertEquals(rig.warnings, ["Cannot ask: permission missing, add --allow-net"]);
  await rig.clock.tickAsync(60 * MINUTE);
  assertEquals([rig.asks.length, rig.results], [1, []]);
  rig.schedule.refresh();
  assertEquals(rig.asks.length, 2);
});

Deno.test("createExternalSchedule() reports an unexpected error and goes on", async () => {
  await using rig = new Rig(0);
  rig.schedule.refresh();
  await rig.answer(new Error("odd"));
  await rig.clock.tickAsync(10 * SECOND);
  assertEquals([rig.warnings, rig.results, rig.asks.length], [["odd"], [], 2]);
});

Deno.test("createExternalSchedule() asks without keeping the process alive", async () => {
  await using rig = new Rig();
  rig.schedule.refresh();
  assertEquals(rig.asks[0]?.options.ref, false);
});

Deno.test("createExternalSchedule() refuses a server that cannot be read, before anything is asked", () => {
  assertThrows(() => new Rig(0, { servers: ["a b"] }), TypeError, '"a b"');
});

Deno.test("createExternalSchedule() ends with the signal of its options", async () => {
  const controller = new AbortController();
  await using rig = new Rig(0, { servers: ["192.0.2.1"], signal: controller.signal });
  rig.schedule.refresh();
  controller.abort(new Error("enough"));
  await rig.clock.tickAsync(60 * MINUTE);
  assertEquals([rig.asks.length, rig.results, rig.warnings], [1, [], []]);
});

Deno.test("createExternalSchedule() is over when it is closed, whatever was under way", async () => {
  for (const answered of [false, true]) {
    await using rig = new Rig();
    rig.schedule.refresh();
    if (answered) await rig.answer(seen("203.0.113.1"));
    const before = rig.results.length;
    await rig.schedule.close();
    await rig.schedule.close();
    rig.schedule.refresh();
    await rig.clock.tickAsync(60 * MINUTE);
    assertEquals([rig.asks.length, rig.results.length, rig.clock.pending], [1, before, 0]);
  }
});

Deno.test("createExternalSchedule() asks a real server, and closes while it waits for one", async () => {
  await using server = await startStunServer();
  const { promise, resolve } = Promise.withResolvers<ExternalAddresses>();
  const schedule = createExternalSchedule({ options: { servers: [server.url] }, onResult: resolve });
  schedule.refresh();
  assertEquals(await promise, { v4: { address: "127.0.0.1", agreed: 1, answered: 1 }, v6: null });
  await schedule.close();
  server.mode = "silent";
  const waiting = createExternalSchedule({ options: { servers: [server.url] }, onResult: () => {} });
  waiting.refresh();
  await server.received(2);
  await waiting.close();
});

Deno.test("createExternalSchedule() does not keep the process alive", async () => {
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const code = `
    import { createExternalSchedule } from ${url("./_external_schedule.ts")};
    const options = { servers: ["127.0.0.1:9"], families: [4] };
    createExternalSchedule({ options, onResult: () => console.log("answered") }).refresh();
    addEventListener("unload", () => console.log("ended"));`;
  const { code: status, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", `--config=${import.meta.dirname}/../deno.json`, code],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals([status, new TextDecoder().decode(stdout)], [0, "ended\n"], new TextDecoder().decode(stderr));
});
