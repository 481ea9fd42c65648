import { assertEquals } from "@std/assert";
import { mayBeAsked } from "./_external_query.ts";
import type { Endpoint } from "./_stun.ts";

function endpoint(address: string, port = 3478): Endpoint {
  return { family: address.includes(":") ? 6 : 4, address, port };
}

Deno.test("mayBeAsked() lets a server name another address, or another port of its own", () => {
  for (
    const [other, server] of [
      [endpoint("198.51.100.2"), endpoint("198.51.100.1")],
      [endpoint("198.51.100.1", 3479), endpoint("198.51.100.1")],
      [endpoint("2001:db8::2"), endpoint("2001:db8::1")],
      [endpoint("127.0.0.2"), endpoint("127.0.0.1")],
    ] as const
  ) assertEquals(mayBeAsked(other, server), true, other.address);
});

Deno.test("mayBeAsked() does not let a server send us to itself, to nobody, to all or to ourselves", () => {
  const server = endpoint("198.51.100.1");
  const refused = ["198.51.100.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "2001:db8::1"];
  for (const address of refused) assertEquals(mayBeAsked(endpoint(address), server), false, address);
  assertEquals(mayBeAsked(endpoint("198.51.100.2", 0), server), false, "port 0");
  for (const address of ["::", "::1", "ff02::1", "::ffff:127.0.0.1"]) {
    assertEquals(mayBeAsked(endpoint(address), endpoint("2001:db8::1")), false, address);
  }
});
