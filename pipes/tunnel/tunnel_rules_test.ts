import { assertEquals, assertThrows } from "@std/assert";
import { parseTarget } from "./target.ts";
import { isPublic, Rules } from "./tunnel_rules.ts";

Deno.test("only what is on the list is allowed, and who names nothing gets the first", () => {
  const rules = new Rules({ to: ["Host.test:22", "127.0.0.1:80"] });
  assertEquals(rules.allow(null)?.target, { hostname: "host.test", port: 22 });
  assertEquals(rules.allow({ hostname: "127.0.0.1", port: 80 })?.publicOnly, false);
  for (const other of ["host.test:23", "127.0.0.2:80", "other.test:22"]) {
    assertEquals(rules.allow(parseTarget(other)), null);
  }
  assertEquals(new Rules({}).allow(null), null);
});

Deno.test("any target means any public one, unless private ones are allowed too", () => {
  const rules = new Rules({ to: ["*"] });
  assertEquals(rules.allow({ hostname: "8.8.8.8", port: 53 })?.publicOnly, true);
  assertEquals(rules.allow({ hostname: "name.test", port: 53 })?.publicOnly, true);
  assertEquals(rules.allow({ hostname: "10.0.0.1", port: 53 }), null);
  assertEquals(
    new Rules({ to: ["*"], allowPrivate: true }).allow({ hostname: "10.0.0.1", port: 53 })?.publicOnly,
    false,
  );
});

Deno.test("a place to listen is allowed as it is written, with port 0 for any port there", () => {
  const rules = new Rules({ listen: ["127.0.0.1:0", ":8080"] });
  assertEquals(rules.allowListen({ hostname: "127.0.0.1", port: 5000 }), true);
  assertEquals(rules.allowListen({ hostname: "", port: 8080 }), true);
  assertEquals(rules.allowListen({ hostname: "", port: 8081 }), false);
  assertEquals(rules.allowListen({ hostname: "0.0.0.0", port: 8080 }), false);
});

const PRIVATE = [
  ...[
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
  ],
  ...[
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
  ],
  ...[
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::1",
    "fe80::1",
    "fe80::1%eth0",
  ],
  ...[
    "fd00::1",
    "fec0::1",
    "ff02::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "name.test",
  ],
];

Deno.test("what leads to this machine, to its networks or to nobody is not public", () => {
  for (const address of PRIVATE) assertEquals(isPublic(address), false, address);
  const open = [
    "1.1.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "192.1.0.1",
    "198.20.0.1",
    "2606:4700::1111",
    "2a00::1",
    "64:ff9b::8.8.8.8",
  ];
  for (const address of open) assertEquals(isPublic(address), true, address);
});

Deno.test("a target that is none is refused with the reason", () => {
  for (
    const text of [
      "",
      "a",
      "a:",
      ":22",
      "a:0",
      "a:65536",
      "[a]:1",
      "::1:22",
      "127.1:22",
      "a b:1",
      "0x7f000001:1",
    ]
  ) {
    assertThrows(() => parseTarget(text), TypeError, "Cannot read");
  }
});
