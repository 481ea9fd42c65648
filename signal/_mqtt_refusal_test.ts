import { assertEquals, assertStringIncludes } from "@std/assert";
import { refusalOf } from "./_mqtt_refusal.ts";

const URL = "mqtt://broker.example:1883";

Deno.test("each refusal has its own remedy", () => {
  const expected: readonly (readonly [number, string])[] = [
    [1, "version"],
    [2, "later"],
    [3, "busy"],
    [4, "stop"],
    [5, "stop"],
    [0x80, "later"],
    [0x84, "version"],
    [0x86, "stop"],
    [0x87, "stop"],
    [0x88, "busy"],
    [0x89, "busy"],
    [0x8a, "stop"],
    [0x8b, "later"],
    [0x8e, "later"],
    [0x96, "quota"],
    [0x97, "quota"],
    [0x9c, "another"],
    [0x9d, "another"],
    [0x9f, "busy"],
    [0xff, "later"],
  ];
  for (const [code, verdict] of expected) assertEquals([code, refusalOf(code, URL).verdict], [code, verdict]);
});

Deno.test("a refusal names the broker and the code", () => {
  assertStringIncludes(
    refusalOf(0x8a, URL).error.message,
    `Cannot use the broker ${URL}: the broker has banned this client (code 0x8a)`,
  );
});

Deno.test("another server is named with or without a port, and nonsense is passed over", () => {
  const servers = (reference: string) => refusalOf(0x9c, URL, reference).servers;
  assertEquals(servers("Other.example:8883 [2001:db8::1]:1 plain"), [
    { hostname: "other.example", port: 8883 },
    { hostname: "2001:db8::1", port: 1 },
    { hostname: "plain" },
  ]);
  assertEquals(servers("user:secret@host host/path host:70000 host:0 http://x "), []);
  assertEquals(servers("a b c d e f")?.length, 4);
  assertEquals(servers(""), []);
});
