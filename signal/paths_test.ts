import { assert, assertEquals } from "@std/assert";
import { choosePaths, hashBroker, operatorOf, Paths } from "./paths.ts";

const hashes = ["mqtt://a", "mqtt://b", "mqtt://c", "mqtt://d"].map(hashBroker);
const [a = 0, b = 0, c = 0, d = 0] = hashes;
const each = (hash: number): string => String(hash);

Deno.test("Paths put first where the peer is connected, then where it listens, and last what is bad", () => {
  const paths = new Paths("bob");
  const unknown = paths.order(hashes);
  assertEquals([...unknown].sort(), [...hashes].sort());
  assertEquals(new Paths("bob").order([...hashes].reverse()), unknown, "everybody ranks alike");
  paths.learn([b, d], 0b10);
  assertEquals(paths.order(hashes).slice(0, 2), [d, b]);
  assertEquals([paths.listens(a), paths.listens(b)], [false, true]);
  for (let i = 0; i < 20; i++) {
    paths.observe(d, false);
    paths.observe(b, true);
  }
  assertEquals(paths.order(hashes)[0], b);
  assert(paths.isBad(d) && !paths.isBad(b));
  assertEquals([paths.of(d).missed, paths.of(b).delivered, paths.of(a).score], [20, 20, 0.5]);
  for (let i = 0; i < 20; i++) paths.observe(d, true);
  assertEquals(paths.isBad(d), false, "a path that works again is used again");
});

Deno.test("Paths rank brokers differently for different peers, so that not all use the same ones", () => {
  const firsts = new Set(Array.from({ length: 100 }, (_, i) => new Paths(`peer ${i}`).order(hashes)[0]));
  assertEquals(firsts.size, 4);
});

Deno.test("choosePaths() takes distinct operators first, and one more with each retry", () => {
  const options = {
    ordered: [a, b, c, d],
    tried: new Set<number>(),
    attempts: 0,
    copies: 3,
    hedged: false,
    operator: each,
  };
  assertEquals(choosePaths(options), [a, b, c]);
  const together = (hash: number): string => hash === b ? "one" : hash === a ? "one" : String(hash);
  assertEquals(choosePaths({ ...options, operator: together }), [a, c, d]);
  assertEquals(
    choosePaths({ ...options, ordered: [a, b], operator: together }),
    [a, b],
    "better twice than not at all",
  );
  assertEquals(choosePaths({ ...options, hedged: true }), [a]);
  assertEquals(choosePaths({ ...options, hedged: true, attempts: 1, tried: new Set([a]) }), [a, b, c, d]);
  assertEquals(choosePaths({ ...options, copies: 2, attempts: 1, tried: new Set([a, b]) }), [a, b, c]);
  assertEquals(choosePaths({ ...options, copies: 2, attempts: 2, tried: new Set([a, b, c]) }), [a, b, d]);
  assertEquals(choosePaths({ ...options, ordered: [] }), []);
});

Deno.test("operatorOf() tells machines apart by their address, and ports on loopback only", () => {
  assertEquals(operatorOf("mqtts://a.example:8883", "192.0.2.1"), operatorOf("wss://b.example", "192.0.2.1"));
  assertEquals(operatorOf("mqtts://a.example:8883", null), operatorOf("wss://a.example/mqtt", undefined));
  assert(operatorOf("mqtt://127.0.0.1:1", "127.0.0.1") !== operatorOf("mqtt://127.0.0.1:2", "127.0.0.1"));
  assertEquals(operatorOf("no address", null), "no address");
});
