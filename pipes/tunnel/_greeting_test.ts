import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodeGreeting, encodeGreeting, type Greeting } from "./_greeting.ts";
import { canonicalHost } from "./target.ts";

const target = { hostname: "db.internal", port: 5432 };

Deno.test("a greeting is read as it was written", () => {
  const greetings: readonly Greeting[] = [
    { type: "connect", target: null },
    { type: "answer", target: { hostname: "2001:db8::1", port: 22 } },
    { type: "check", target },
    { type: "listen", target: { hostname: "", port: 0 } },
    { type: "take", token: new Uint8Array(16).fill(7) },
  ];
  for (const greeting of greetings) assertEquals(decodeGreeting(encodeGreeting(greeting)), greeting);
});

Deno.test("a greeting has the bytes that docs/PROTOCOLS.md gives it", () => {
  assertEquals(
    encodeGreeting({ type: "connect", target: { hostname: "a.b", port: 258 } }).toHex(),
    "01000102612e62",
  );
  assertEquals(encodeGreeting({ type: "check", target: null }).toHex(), "0102");
});

Deno.test("a greeting of another version, of no type, cut off, or with a host in another spelling is none", () => {
  const written = (hostname: string, port = 22): Uint8Array =>
    encodeGreeting({ type: "connect", target: { hostname, port } });
  const wrong = [
    Uint8Array.of(),
    Uint8Array.of(1),
    Uint8Array.of(2, 0),
    Uint8Array.of(1, 5),
    Uint8Array.of(1, 0, 0),
    Uint8Array.of(1, 3),
    Uint8Array.of(1, 4, 1, 2, 3),
    written("a", 0),
    ...[
      "DB.internal",
      "db.internal.",
      "127.1",
      "0x7f.1",
      "::ffff:7f00:1",
      "0:0::1",
      "a b",
      "a\0b",
      "ä",
      "",
      "a..b",
      "[::1]",
    ]
      .map((host) => written(host)),
    written("a".repeat(252)),
  ];
  for (const bytes of wrong) assertEquals(decodeGreeting(bytes), null, bytes.toHex());
});

Deno.test("whatever bytes come, what is taken for a target is in the one form that lists are compared with", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 256 }), fc.integer({ min: 0, max: 5 }), (bytes, type) => {
    const read = decodeGreeting(Uint8Array.of(1, type, ...bytes));
    if (!read || read.type === "take" || !read.target || read.target.hostname === "") return;
    assertEquals(canonicalHost(read.target.hostname), read.target.hostname);
  }));
});
