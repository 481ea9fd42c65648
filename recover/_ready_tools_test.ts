import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSocket } from "node:dgram";
import { PermissionError } from "../internal/errors.ts";
import { assertNoSocketLost } from "../tests/_lost_socket.ts";
import { bracketed, sendDatagram } from "./_datagram.ts";
import { systemTools } from "./_ready_tools.ts";

const never = new AbortController().signal;

/** A family, its loopback address, and what it is called where a port follows. */
const FAMILIES = [[4, "127.0.0.1", "127.0.0.1"], [6, "::1", "[::1]"]] as const;

for (const [family, address, host] of FAMILIES) {
  Deno.test(`sendDatagram() sends one empty datagram by IPv${family}, and leaves nothing behind`, async () => {
    const socket = createSocket(`udp${family}`);
    const received = new Promise<number>((resolve) => socket.on("message", ({ length }) => resolve(length)));
    await new Promise<void>((resolve) => socket.bind({ address, port: 0 }, resolve));
    try {
      await sendDatagram(address, socket.address().port);
      assertEquals(await received, 0);
    } finally {
      socket.close();
    }
  });

  Deno.test(`connect() tells the address that answered by IPv${family}`, async () => {
    using listener = Deno.listen({ hostname: address, port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    for (const only of [undefined, family]) {
      const target = { hostname: address, port };
      assertEquals(await systemTools.connect(target, { family: only, signal: never }), `${host}:${port}`);
    }
  });
}

Deno.test("a knock and a connection that are made in the moment they are called off are closed", async () => {
  await assertNoSocketLost((signal) => systemTools.knock("192.0.2.1", signal));
  const target = { hostname: "192.0.2.1", port: 1 };
  await assertNoSocketLost((signal) => systemTools.connect(target, { family: undefined, signal }));
});

Deno.test("a datagram that the system refuses is an error, and leaves nothing behind", async () => {
  const error = await assertRejects(() => sendDatagram("255.255.255.255", 9), Error);
  assertEquals(error.message, "Cannot send a datagram to 255.255.255.255: the system refuses it");
});

Deno.test({
  name: "a datagram is sent by these permissions and no less",
  permissions: { net: ["127.0.0.1:9", "0.0.0.0:0"] },
  fn: () => systemTools.provoke("127.0.0.1"),
});

for (const net of [["127.0.0.1:9"], ["0.0.0.0:0"]]) {
  Deno.test({
    name: `a datagram that ${net} alone does not allow names both flags`,
    permissions: { net },
    async fn() {
      const error = await assertRejects(() => systemTools.provoke("127.0.0.1"), PermissionError);
      assertEquals(error.flags, ["--allow-net=127.0.0.1:9,0.0.0.0:0"]);
    },
  });
}

Deno.test({
  name: "a knock needs one port, and a refusal is an answer",
  permissions: { net: ["127.0.0.1:9"] },
  async fn() {
    assertEquals(await systemTools.knock("127.0.0.1", never), "answered");
    const error = await assertRejects(() => systemTools.knock("127.0.0.2", never), PermissionError);
    assertEquals(error.flags, ["--allow-net=127.0.0.2:9"]);
  },
});

Deno.test("a knock that finds no way says so, and one that is called off rejects with the reason", async () => {
  assertEquals(await systemTools.knock("255.255.255.255", never), "unreachable");
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assertRejects(() => systemTools.knock("127.0.0.1", stop.signal), Error, "enough");
});

Deno.test({
  name: "what is forbidden is named, for connections, names and name servers",
  permissions: { net: [] },
  async fn() {
    const target = { hostname: "127.0.0.1", port: 80 };
    for (const family of [undefined, 4] as const) {
      const error = await assertRejects(
        () => systemTools.connect(target, { family, signal: never }),
        PermissionError,
      );
      assertEquals(error.flags, ["--allow-net=127.0.0.1:80"]);
    }
    const name = await assertRejects(
      () => systemTools.resolve("localhost", { family: undefined, signal: never }),
      PermissionError,
    );
    assertEquals(name.flags, ["--allow-net=localhost"]);
    const server = await assertRejects(() => systemTools.ask("2001:db8::1", never), PermissionError);
    assertEquals(server.flags, ["--allow-net=[2001:db8::1]:53"]);
  },
});

Deno.test({
  name: "a name that only the system's look-up is allowed for is found by it",
  permissions: { net: ["localhost"] },
  async fn() {
    assertEquals(await systemTools.resolve("localhost", { family: 4, signal: never }), ["127.0.0.1"]);
  },
});

Deno.test("a connection that is refused rejects with the system's error, by either way", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  for (const family of [undefined, 4] as const) {
    const error = await assertRejects(
      () => systemTools.connect({ hostname: "127.0.0.1", port }, { family, signal: never }),
      Error,
    );
    assert(!(error instanceof PermissionError), error.message);
    assertEquals((error as Error & { readonly code?: string }).code, "ECONNREFUSED");
  }
});

Deno.test("bracketed() leaves the zone out, which no permission knows", () => {
  assertEquals([bracketed("fe80::1%eth0", 9), bracketed("10.0.0.1", 9)], ["[fe80::1]:9", "10.0.0.1:9"]);
});
