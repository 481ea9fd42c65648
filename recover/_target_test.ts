import { assertEquals, assertThrows } from "@std/assert";
import { parseTarget } from "./_target.ts";

Deno.test("parseTarget() reads names and addresses, in one text or in two fields", () => {
  const read = (target: Parameters<typeof parseTarget>[0]): readonly unknown[] => {
    const { hostname, port, isAddress, text } = parseTarget(target);
    return [hostname, port, isAddress, text];
  };
  assertEquals(read("a.test:443"), ["a.test", 443, false, "a.test:443"]);
  assertEquals(read("192.0.2.1:80"), ["192.0.2.1", 80, true, "192.0.2.1:80"]);
  assertEquals(read("[2001:db8::1]:80"), ["2001:db8::1", 80, true, "[2001:db8::1]:80"]);
  assertEquals(read("[fe80::1%eth0]:80"), ["fe80::1%eth0", 80, true, "[fe80::1%eth0]:80"]);
  assertEquals(read({ hostname: "[::1]", port: 1 }), ["::1", 1, true, "[::1]:1"]);
  assertEquals(read({ hostname: "::1", port: 1 }), ["::1", 1, true, "[::1]:1"]);
});

Deno.test("parseTarget() says what is wrong with a target", () => {
  for (
    const bad of [
      "",
      "a.test",
      ":443",
      "::1:443",
      "a.test:",
      "a.test:x",
      "a b:1",
      "http://a:1",
      "u@a:1",
      "[x:y]:1",
    ]
  ) {
    assertThrows(() => parseTarget(bad), TypeError, "Cannot dial", bad);
  }
  assertThrows(
    () => parseTarget("a.test:0"),
    RangeError,
    "port must be a whole number from 1 to 65535, got 0",
  );
  assertThrows(() => parseTarget({ hostname: "a", port: 65536 }), RangeError, "got 65536");
  assertThrows(() => parseTarget("[fe80::1]:80"), TypeError, 'as in "fe80::1%eth0"');
});
