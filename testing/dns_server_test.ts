import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "./fake_clock.ts";
import { type DnsRule, type DnsServer, startDnsServer } from "./dns_server.ts";
import { decodeQuery } from "./_dns_message.ts";
import { openUdp } from "../watch/_udp.ts";
import { fuzz, mutate } from "../tests/_fuzz.ts";
import { scale } from "../tests/_require.ts";

const RECORDS = {
  "both.test": { A: ["192.0.2.1", "192.0.2.2"], AAAA: ["2001:db8::1"] },
  "alias.test": { CNAME: "both.test" },
  "lost.test": { CNAME: "nowhere.test" },
  "loop.test": { CNAME: "loop.test" },
  "many.test": { A: Array.from({ length: 60 }, (_, n) => `192.0.2.${n}`) },
};

/** A resolver that is not ours asks. */
function ask(
  { hostname, port }: DnsServer,
  name: string,
  type: "A" | "AAAA" = "A",
  signal?: AbortSignal,
): Promise<string[]> {
  return Deno.resolveDns(name, type, {
    nameServer: { ipAddr: hostname, port },
    ...(signal ? { signal } : {}),
  });
}

/** A query with one question, as bytes. */
function query(name: string, type: number): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1);
}

/** Sends datagrams, and returns the first answer to the last of them. */
async function send({ hostname, port }: DnsServer, ...datagrams: readonly Uint8Array[]): Promise<Uint8Array> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>();
  // A copy of a plain kind: a Buffer is no equal of a Uint8Array.
  const onMessage = (bytes: Uint8Array): void => resolve(new Uint8Array(bytes));
  const socket = await openUdp({ family: 4, address: "127.0.0.1", ref: true, onMessage });
  try {
    for (const datagram of datagrams) await socket.send(datagram, { address: hostname, port });
    return await promise;
  } finally {
    socket.close();
  }
}

const rcode = (answer: Uint8Array): number => (answer[3] ?? 0) & 15;

Deno.test("startDnsServer() answers by its records, follows aliases, and remembers the questions", async () => {
  await using dns = await startDnsServer({ records: RECORDS });
  assertEquals(await ask(dns, "both.test"), ["192.0.2.1", "192.0.2.2"]);
  assertEquals(await ask(dns, "both.test", "AAAA"), ["2001:db8::1"]);
  assertEquals(await ask(dns, "alias.test", "AAAA"), ["2001:db8::1"]);
  assertEquals(dns.questions[0], { name: "both.test", type: "A" });
  await assertRejects(() => ask(dns, "unknown.test"), Deno.errors.NotFound);
  await assertRejects(() => ask(dns, "constructor"), Deno.errors.NotFound);
});

Deno.test("startDnsServer() answers by functions that may change", async () => {
  await using dns = await startDnsServer({ records: ({ name }) => ({ A: [`192.0.2.${name.length}`] }) });
  assertEquals(await ask(dns, "four.test"), ["192.0.2.9"]);
  dns.records = { "four.test": { A: ["192.0.2.4"] } };
  assertEquals(await ask(dns, "four.test"), ["192.0.2.4"]);
  dns.rules = ({ type }) => ({ fault: type === "A" ? "nxdomain" : "answer" });
  assertEquals(rcode(await send(dns, query("four.test", 1))), 3);
});

Deno.test("startDnsServer() says in the words of DNS what it is told to", async () => {
  const expected = { nxdomain: 3, servfail: 2, refused: 5, empty: 0, truncate: 0 } as const;
  await using dns = await startDnsServer({ records: RECORDS });
  for (const [fault, code] of Object.entries(expected)) {
    dns.rules = [{ fault } as DnsRule];
    const answer = await send(dns, query("both.test", 1));
    assertEquals([rcode(answer), answer[7]], [code, 0], fault);
    assertEquals((answer[2] ?? 0) & 2, fault === "truncate" ? 2 : 0, `${fault}: the bit for truncation`);
  }
  dns.rules = [{ fault: "wrong-id" }];
  assertEquals((await send(dns, query("both.test", 1))).subarray(0, 2), Uint8Array.of(0xed, 0xcb));
  dns.rules = [{ fault: "garbage" }];
  assertEquals((await send(dns, query("both.test", 1))).length, 64);
});

Deno.test("startDnsServer() obeys the first rule that fits a name and a type", async () => {
  await using dns = await startDnsServer({
    records: RECORDS,
    rules: [{ name: "BOTH.test", type: "AAAA", fault: "drop" }, { name: "*.test", fault: "refused" }],
  });
  const none = new AbortController();
  const pending = assertRejects(() => ask(dns, "both.test", "AAAA", none.signal));
  await dns.received(1);
  assertEquals(rcode(await send(dns, query("both.test", 28), query("both.test", 1))), 5);
  none.abort();
  await pending;
  assertEquals(rcode(await send(dns, query("other.example", 1))), 3);
});

Deno.test("startDnsServer() waits before an answer, and never gives it once closed", async () => {
  const clock = new FakeClock();
  const dns = await startDnsServer({ records: RECORDS, rules: [{ delay: 300 }], clock });
  const answer = send(dns, query("both.test", 1));
  await dns.received(1);
  assertEquals(clock.pending, 1);
  clock.tick(300);
  assertEquals((await answer)[7], 2);
  const never = ask(dns, "both.test", "A", AbortSignal.timeout(0));
  await assertRejects(() => never);
  await Promise.all([assertRejects(() => dns.received(99), Error, "the DNS server is closed"), dns.close()]);
  assertEquals(clock.pending, 0);
  await dns.close();
});

Deno.test("startDnsServer() cuts off what is too long between two records, and says so", async () => {
  await using dns = await startDnsServer({ records: RECORDS });
  const answer = await send(dns, query("many.test", 1));
  assert(answer.length <= 512, `${answer.length} bytes`);
  assertEquals((answer[2] ?? 0) & 2, 2);
  assertEquals(answer.length, query("many.test", 1).length + (answer[7] ?? 0) * 25);
});

Deno.test("startDnsServer() ends chains that lead nowhere", async () => {
  await using dns = await startDnsServer({ records: RECORDS });
  assertEquals(rcode(await send(dns, query("lost.test", 1))), 3);
  assertEquals(rcode(await send(dns, query("loop.test", 1))), 3);
});

Deno.test("startDnsServer() refuses what is no query, and ignores what is an answer", async () => {
  await using dns = await startDnsServer({ records: RECORDS });
  const good = query("both.test", 1);
  const answer = good.with(2, 0x81);
  // Were one of the first three answered, its answer would come first.
  const first = await send(
    dns,
    new Uint8Array(0),
    good.subarray(0, 11),
    answer,
    good.with(1, 0x99).with(5, 2),
  );
  assertEquals(first, Uint8Array.of(0x12, 0x99, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  for (const bad of [good.subarray(0, 14), good.with(12, 0xc0), good.with(12, 64), good.with(2, 0x28)]) {
    assertEquals(rcode(await send(dns, bad)), 1);
  }
  assertEquals(dns.questions, []);
});

Deno.test("decodeQuery() survives every mutation of a query", () => {
  const inputs = [query("both.test", 1), query("a.very.long.name.with.many.labels.test", 28), query("", 1)];
  const ends = fuzz(scale(5000, 100_000), (random) => mutate(random, random.one(inputs), inputs), (bytes) => {
    const result = decodeQuery(bytes);
    if (result === null) return "nothing";
    if ("bad" in result) return "bad";
    assert(result.name.length <= 255 && result.question.length <= 260);
    return "query";
  });
  for (const end of ["nothing", "bad", "query"]) {
    assert((ends.get(end) ?? 0) > 50, `${end}: ${ends.get(end)}`);
  }
});
