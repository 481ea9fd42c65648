import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { formatEndpoint, parseEndpoint } from "./endpoint.ts";
import { UsageError } from "./usage_error.ts";

Deno.test("parseEndpoint() reads names, IPv4 and bracketed IPv6 addresses", () => {
  assertEquals(parseEndpoint("example.com:443"), { hostname: "example.com", port: 443 });
  assertEquals(parseEndpoint("10.0.0.1:1"), { hostname: "10.0.0.1", port: 1 });
  assertEquals(parseEndpoint("[2001:db8::1]:65535"), { hostname: "2001:db8::1", port: 65535 });
});

Deno.test("parseEndpoint() takes a default port where there is one, and never for a port that is empty", () => {
  assertEquals(parseEndpoint("example.com", 3478), { hostname: "example.com", port: 3478 });
  assertEquals(parseEndpoint("[::1]", 3478), { hostname: "::1", port: 3478 });
  assertEquals(parseEndpoint("example.com:1", 3478).port, 1);
  assertThrows(() => parseEndpoint("example.com:", 3478), UsageError, "the port is missing");
});

Deno.test("formatEndpoint() undoes parseEndpoint()", () => {
  for (const text of ["example.com:443", "[2001:db8::1]:80"]) {
    assertEquals(formatEndpoint(parseEndpoint(text)), text);
  }
});

Deno.test("parseEndpoint() throws nothing but the mistake of the one who typed, whatever that was", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.ipV6(), fc.domain()), (text) => {
    try {
      const { hostname, port } = parseEndpoint(text);
      assertEquals(hostname !== "" && port >= 1 && port <= 65535, true);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  }));
});

Deno.test("parseEndpoint() asks for brackets around an IPv6 address, and for HOST:PORT in place of a URL", () => {
  assertThrows(() => parseEndpoint("2001:db8::1"), UsageError, "an IPv6 address needs brackets");
  assertThrows(() => parseEndpoint("::1"), UsageError, "an IPv6 address needs brackets");
  const error = assertThrows(() => parseEndpoint("https://example.com:443/x"), UsageError, "it is a URL");
  assertEquals(error.hint, 'Write it as HOST:PORT, for example "example.com:443"');
});
