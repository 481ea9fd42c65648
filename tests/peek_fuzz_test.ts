/** Hostile first bytes: whatever they are, a route that holds comes out, or that there is none. */

import { assert, assertEquals } from "@std/assert";
import { parseIp } from "../internal/ip.ts";
import { MAX_PEEK, type Peeked, type PeekedRoute, peekRoute } from "../pipes/push/peek_route.ts";
import type { ProxiedAddress } from "../pipes/push/_peek_proxy.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { addition, clientHello, extension, latin1, protocols, proxyV2, serverName } from "./_peek_bytes.ts";
import { scale } from "./_require.ts";

function tls(random: Random): Uint8Array {
  const name = random.one(["a.example", "A.", "a..b", "", "-_-", "ä"]);
  const some = [
    serverName(name),
    protocols(random.one(["h2", "", "\x0a\x0a", "JJ", "x y"]), "http/1.1"),
    extension(random.one([0x0a0a, 43, 0, 16]), random.bytes(random.below(6))),
    serverName("a.example", "b.example"),
    protocols(),
  ];
  const count = random.below(4);
  const extensions = random.below(8) === 0 ? null : Array.from({ length: count }, () => random.one(some));
  return clientHello({
    extensions,
    session: random.one([0, 32, 33]),
    record: random.one([1, 5, 40, 16_384, 16_384]),
  });
}

function http(random: Random): Uint8Array {
  const method = random.one(["GET", "POST", "CONNECT", "CONNECT", "x".repeat(33), "PRI"]);
  const target = random.one(["/", "*", "http://a.example:81/", "b.example:443", "/\xff", "x://u@a/"]);
  const version = random.one(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0"]);
  const end = random.one(["\r\n", "\r\n", "\r\n", "\n"]);
  const host = random.one(["a.example", "[::1]:80", "[::g]", "[1.2.3.4]", "a:99999", "", "a:1", "\xff"]);
  const fields = ["X: y", `Host: ${host}`, `Host:${host}`, "Accept : */*", "X: \x01", " folded", "host: a"];
  const lines = Array.from({ length: random.below(4) }, () => random.one(fields));
  const empty = random.below(4) === 0 ? "\r\n" : "";
  const preface = random.below(20) === 0 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
  return latin1(`${preface}${empty}${[`${method} ${target} ${version}`, ...lines, "", ""].join(end)}`);
}

function proxy(random: Random): Uint8Array {
  if (random.below(2) === 0) {
    const [from, to] = [0, 0].map(() => random.one(["192.0.2.1", "192.0.2.1", "::1", "1.2.3", ""]));
    const [a, b] = [0, 0].map(() => random.one(["1", "65535", "65536", "01", "-1"]));
    const family = random.one(["TCP4", "TCP4", "TCP6", "UNKNOWN", "TCP5"]);
    const more = random.one(["", "", "", " 5", "x".repeat(107)]);
    return latin1(`PROXY ${family} ${from} ${to} ${a} ${b}${more}\r\n`);
  }
  const kind = random.one([0, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x13]);
  const size = random.one([12, 36, 216]);
  const body = size === 216 && random.below(2) === 0 ? latin1("/a".padEnd(216, "\0")) : random.bytes(size);
  const additions = [addition(2, "a.example"), addition(2, "a b"), addition(4, "xyz"), random.bytes(2)];
  const more = Array.from({ length: random.below(3) }, () => random.one(additions));
  return proxyV2(random.one([0x21, 0x21, 0x21, 0x20, 0x11]), kind, body, ...more);
}

const MAKERS: Readonly<Record<string, (random: Random) => Uint8Array>> = { tls, http, proxy };

function assertAddress(address: ProxiedAddress): void {
  if (address.transport === "unix") return assert(address.path.length <= 108);
  assert(parseIp(address.hostname));
  assert(address.port >= 0 && address.port < 65_536);
}

function assertHolds(route: PeekedRoute, size: number): void {
  if (route.name !== null) {
    assert(parseIp(route.name) || /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(route.name), route.name);
  }
  if (route.kind === "tls") assert(route.alpn.every((name) => /^[\x21-\x7e]+$/.test(name)));
  if (route.kind === "http") {
    assert(/^\S{1,32}$/.test(route.method) && /^\S+$/.test(route.target));
    assert(route.port === null || (Number.isInteger(route.port) && route.port < 65_536));
  }
  if (route.kind === "proxy") {
    assert(route.length <= size);
    assertEquals(route.source === null, route.destination === null);
    for (const end of [route.source, route.destination]) if (end) assertAddress(end);
  }
}

for (const [name, make] of Object.entries(MAKERS)) {
  Deno.test(`peekRoute() takes hostile ${name} as a route that holds, or none; fewer bytes never give another one`, () => {
    const ends = fuzz(scale(4_000, 60_000), (random) => {
      const bytes = make(random);
      const changed = random.below(3) === 0 ? bytes : mutate(random, bytes, [make(random), make(random)]);
      return { bytes: changed.subarray(0, MAX_PEEK + 8), cut: random.below(changed.length + 1) };
    }, ({ bytes, cut }) => {
      const peeked: Peeked = peekRoute(bytes);
      const before = peekRoute(bytes.subarray(0, cut));
      // What has been said of fewer bytes stays true when more come.
      if (before !== "more") assertEquals(before, peeked);
      if (typeof peeked === "string") return peeked;
      assertHolds(peeked, bytes.length);
      return peeked.kind;
    });
    // A fuzz that never gets past the door proves nothing.
    for (const end of [name, "more", "unknown"]) assert((ends.get(end) ?? 0) > 50, JSON.stringify([...ends]));
  });
}
