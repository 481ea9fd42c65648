import { assertEquals } from "@std/assert";
import { connect as nodeConnect } from "node:tls";
import {
  addition,
  clientHello,
  counted,
  extension,
  latin1,
  protocols,
  proxyV2,
  serverName,
} from "../../tests/_peek_bytes.ts";
import { MAX_PEEK, type Peeked, peekRoute } from "./peek_route.ts";

function peekText(text: string): Peeked {
  return peekRoute(latin1(text));
}

/** A route comes of all bytes, and nothing but "more" of fewer. */
function assertNeedsAll(bytes: Uint8Array, expected: Peeked): void {
  for (let length = 0; length < bytes.length; length++) {
    assertEquals(peekRoute(bytes.subarray(0, length)), "more", `${length} of ${bytes.length} bytes`);
  }
  assertEquals(peekRoute(bytes), expected);
  assertEquals(peekRoute(Uint8Array.of(...bytes, 1, 2, 3)), expected);
}

/** What a client says first, taken by a plain server. */
async function firstBytes(call: (port: number) => Promise<unknown>): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const calling = call(listener.addr.port).catch(() => {}); // nobody answers its handshake
  const conn = await listener.accept();
  const buffer = new Uint8Array(MAX_PEEK);
  let size = 0;
  while (peekRoute(buffer.subarray(0, size)) === "more") {
    size += await conn.read(buffer.subarray(size)) ?? MAX_PEEK;
  }
  conn.close();
  await calling;
  return buffer.subarray(0, size);
}

Deno.test("the ClientHello of the runtime names the server and the protocols", async () => {
  const bytes = await firstBytes(async (port) => {
    const conn = await Deno.connect({ port });
    const tls = await Deno.startTls(conn, { hostname: "Runtime.Example", alpnProtocols: ["h2", "http/1.1"] });
    await tls.handshake().finally(() => tls.close());
  });
  assertEquals(peekRoute(bytes), { kind: "tls", name: "runtime.example", alpn: ["h2", "http/1.1"] });
});

Deno.test("the ClientHello of node:tls without a name has none", async () => {
  const bytes = await firstBytes((port) =>
    new Promise((_, reject) => void nodeConnect({ port, host: "127.0.0.1" }).on("error", reject))
  );
  assertEquals(peekRoute(bytes), { kind: "tls", name: null, alpn: [] });
});

Deno.test("a ClientHello is put together from records of any size, one byte each at the least", () => {
  const extensions = [extension(0x0a0a, new Uint8Array()), serverName("A.Example"), protocols("\n\n", "h2")];
  const expected = { kind: "tls", name: "a.example", alpn: ["h2"] } as const;
  assertNeedsAll(clientHello({ extensions }), expected);
  for (const record of [1, 2, 3, 4, 5, 50]) {
    assertEquals(peekRoute(clientHello({ extensions, record })), expected);
  }
  assertNeedsAll(clientHello({ extensions, record: 40 }), expected);
});

Deno.test("a ClientHello without extensions, as old clients have it, is a route without a name", () => {
  assertEquals(peekRoute(clientHello({ extensions: null })), { kind: "tls", name: null, alpn: [] });
});

Deno.test("GREASE and names that are no text are no protocols", () => {
  const extensions = [protocols("JJ", "\xfa\xfa", "ab c", "http/1.1", "\x01")];
  assertEquals(peekRoute(clientHello({ extensions })), { kind: "tls", name: null, alpn: ["http/1.1"] });
});

Deno.test("a ClientHello with lengths, names or doubles that must not be is unknown", () => {
  const good = clientHello({ extensions: [serverName("a.example")] });
  const broken: Record<string, Uint8Array> = {
    "two names": clientHello({ extensions: [serverName("a.example", "b.example")] }),
    "the extension twice": clientHello({ extensions: [serverName("a.example"), serverName("b.example")] }),
    "no name in the list": clientHello({ extensions: [serverName()] }),
    "an empty name": clientHello({ extensions: [serverName("")] }),
    "a name with a zero": clientHello({ extensions: [serverName("a.example\0.b.example")] }),
    "a name with a slash": clientHello({ extensions: [serverName("../a")] }),
    "a label of 64": clientHello({ extensions: [serverName("a".repeat(64))] }),
    "a name of another kind": clientHello({ extensions: [extension(0, counted(2, [1], counted(2, [65])))] }),
    "bytes behind the names": clientHello({
      extensions: [extension(0, Uint8Array.of(0, 4, 0, 0, 1, 65, 9))],
    }),
    "a list longer than its extension": clientHello({
      extensions: [extension(0, Uint8Array.of(0, 9, 0, 0, 1, 65))],
    }),
    "no protocols": clientHello({ extensions: [protocols()] }),
    "an empty protocol": clientHello({ extensions: [protocols("h2", "")] }),
    "a session id of 33": clientHello({ session: 33 }),
    "a message of 16 MiB": good.with(6, 255),
    "another major version of the record": good.with(1, 2),
    "another major version of the message": good.with(9, 2),
    "an empty record": Uint8Array.of(22, 3, 1, 0, 0, ...good),
    "a record of 64 KiB": good.with(3, 255),
    "another message": good.with(5, 2),
    "an alert": Uint8Array.of(21, 3, 1, 0, 2, 1, 0),
    "another record between": Uint8Array.of(22, 3, 1, 0, 1, 1, 20, 3, 3, 0, 1, 1),
    "an odd list of suites": good.with(44 + 32, 5),
    "bytes behind the extensions": clientHello({ extensions: [serverName("a.example")] }).with(87, 0),
  };
  for (const [name, bytes] of Object.entries(broken)) assertEquals(peekRoute(bytes), "unknown", name);
});

Deno.test("the head of a request names host, port, method and target", () => {
  const rest = { kind: "http", method: "GET", version: "1.1" } as const;
  assertNeedsAll(latin1("GET /a?b HTTP/1.1\r\nAccept: */*\r\nhOsT: \t Www.Example. \r\nX:\r\n\r\n"), {
    ...rest,
    name: "www.example",
    port: null,
    target: "/a?b",
  });
  const hosts: Record<string, readonly [string | null, number | null]> = {
    "127.0.0.1:80": ["127.0.0.1", 80],
    "[::1]:8443": ["::1", 8443],
    "[2001:DB8:0::1]": ["2001:db8::1", null],
    "a_b.example:": ["a_b.example", null],
    "": [null, null],
  };
  for (const [host, [name, port]] of Object.entries(hosts)) {
    assertEquals(peekText(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), { ...rest, name, port, target: "/" });
  }
});

Deno.test("the host in the target counts for more than the field", () => {
  const head = "Host: other.example\r\n\r\n";
  assertEquals(peekText(`GET HTTP://A.example:81/x HTTP/1.1\r\n${head}`), {
    kind: "http",
    name: "a.example",
    port: 81,
    method: "GET",
    target: "HTTP://A.example:81/x",
    version: "1.1",
  });
  assertEquals(peekText(`CONNECT b.example:443 HTTP/1.1\r\n${head}`), {
    kind: "http",
    name: "b.example",
    port: 443,
    method: "CONNECT",
    target: "b.example:443",
    version: "1.1",
  });
});

Deno.test("HTTP/1.0 may name no host, and an empty line may stand in front", () => {
  const expected = {
    kind: "http",
    name: null,
    port: null,
    method: "GET",
    target: "/",
    version: "1.0",
  } as const;
  assertNeedsAll(latin1("\r\nGET / HTTP/1.0\r\n\r\n"), expected);
});

Deno.test("the preface of HTTP/2 is a route without a name", () => {
  assertNeedsAll(latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), { kind: "http2", name: null });
});

Deno.test("a head that servers read in different ways is unknown, as soon as that is seen", () => {
  const broken = [
    "GET / HTTP/1.1\r\n\r\n", // no host
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n b\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\0\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET / HTTP/2.0\r\n",
    "GET /\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n",
    "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t",
    " GET",
    "GET /\x01",
    "M".repeat(33),
    "SSH-2.0-x\r\n",
    "\x80\x2e\x01\x03\x01",
  ];
  for (const text of broken) assertEquals(peekText(text), "unknown", JSON.stringify(text));
});

Deno.test("whatever is not over after 16 KiB is unknown", () => {
  const long = (size: number): string => `GET /${"a".repeat(size - 5)}`;
  assertEquals(peekText(long(MAX_PEEK - 1)), "more");
  assertEquals(peekText(long(MAX_PEEK)), "unknown");
  assertEquals(peekText(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(MAX_PEEK)}\r\n\r\n`), "unknown");
  const hello = clientHello({ extensions: [extension(21, new Uint8Array(16_300))], record: 100 });
  assertEquals(peekRoute(hello), "unknown");
  assertEquals(peekRoute(proxyV2(0x21, 0x11, new Uint8Array(17_000)).subarray(0, MAX_PEEK)), "unknown");
});

Deno.test("a header of the PROXY protocol as text gives both addresses and its length", () => {
  const header = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
  const rest = { kind: "proxy", name: null, version: 1 } as const;
  assertNeedsAll(latin1(header), {
    ...rest,
    source: { transport: "tcp", hostname: "192.0.2.1", port: 56_324 },
    destination: { transport: "tcp", hostname: "198.51.100.2", port: 443 },
    length: header.length,
  });
  assertEquals(peekText("PROXY TCP6 2001:DB8::1 ::1 0 65535\r\nGET"), {
    ...rest,
    source: { transport: "tcp", hostname: "2001:db8::1", port: 0 },
    destination: { transport: "tcp", hostname: "::1", port: 65_535 },
    length: 36,
  });
  for (const unknown of ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff::1 x 1 2 3\r\n"]) {
    assertEquals(peekText(unknown), { ...rest, source: null, destination: null, length: unknown.length });
  }
});

Deno.test("a header of the PROXY protocol that breaks its rules is unknown", () => {
  const broken = [
    "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
    "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    "PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n",
    `PROXY UNKNOWN ${"x".repeat(107)}`,
  ];
  for (const text of broken) assertEquals(peekText(text), "unknown", text);
});

Deno.test("a binary header of the PROXY protocol gives addresses of each family, and the name asked for", () => {
  const rest = { kind: "proxy", version: 2 } as const;
  const v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 187];
  assertNeedsAll(proxyV2(0x21, 0x11, v4, addition(4, "\0\0"), addition(2, "A.example")), {
    ...rest,
    name: "a.example",
    source: { transport: "tcp", hostname: "192.0.2.1", port: 56_324 },
    destination: { transport: "tcp", hostname: "198.51.100.2", port: 443 },
    length: 16 + 12 + 5 + 12,
  });
  const one = [...new Uint8Array(15), 1];
  assertEquals(peekRoute(proxyV2(0x21, 0x22, one, one, [0, 1, 0, 2])), {
    ...rest,
    name: null,
    source: { transport: "udp", hostname: "::1", port: 1 },
    destination: { transport: "udp", hostname: "::1", port: 2 },
    length: 52,
  });
  const path = latin1("/run/a.sock".padEnd(108, "\0"));
  assertEquals(peekRoute(proxyV2(0x21, 0x31, path, new Uint8Array(108))), {
    ...rest,
    name: null,
    source: { transport: "unix", path: "/run/a.sock" },
    destination: { transport: "unix", path: "" },
    length: 232,
  });
  for (const header of [proxyV2(0x20, 0x11, v4), proxyV2(0x21, 0, [1, 2, 3]), proxyV2(0x20, 0)]) {
    assertEquals(peekRoute(header), {
      ...rest,
      name: null,
      source: null,
      destination: null,
      length: header.length,
    });
  }
});

Deno.test("a binary header of the PROXY protocol that breaks its rules is unknown", () => {
  const v4 = new Uint8Array(12);
  const broken: Record<string, Uint8Array> = {
    "another version": proxyV2(0x11, 0x11, v4),
    "another command": proxyV2(0x22, 0x11, v4),
    "another family": proxyV2(0x21, 0x41, v4),
    "another protocol": proxyV2(0x21, 0x13, v4),
    "no room for addresses": proxyV2(0x21, 0x21, v4),
    "an addition cut short": proxyV2(0x21, 0x11, v4, [4, 0]),
    "an addition too long": proxyV2(0x21, 0x11, v4, [4, 0, 1]),
    "two authorities": proxyV2(0x21, 0x11, v4, addition(2, "a"), addition(2, "b")),
    "an authority that is no name": proxyV2(0x21, 0x11, v4, addition(2, "a b")),
  };
  for (const [name, bytes] of Object.entries(broken)) assertEquals(peekRoute(bytes), "unknown", name);
});
