import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { countDescriptors, settledCount } from "../../tests/_push_sockets.ts";
import { FakeClock } from "../../testing/fake_clock.ts";
import { sendMessage } from "../../internal/ffi/socket_messages.ts";
import { pollEnded } from "../../internal/ffi/descriptor_poll.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { connectPath } from "./_scm_socket.ts";
import { offerOf, TakeoverLines } from "./_takeover_line.ts";
import { offerListeners, type OfferListenersOptions } from "./offer_listeners.ts";
import { PushError } from "./push_error.ts";
import { takeListeners } from "./take_listeners.ts";

const ignore = Deno.build.os !== "linux";

/** A directory for the sockets of a test, after which no descriptor may be left. */
async function withDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  const before = countDescriptors();
  try {
    await test(directory);
    await pollEnded();
    const after = await settledCount(before);
    assert(after <= before, `${before} descriptors before, ${after} after`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const listen = (): Deno.TcpListener => Deno.listen({ hostname: "127.0.0.1", port: 0 });

Deno.test(
  { ignore, name: "listeners of all kinds go to the successor by name, with a state and a number" },
  async () => {
    await withDirectory(async (directory) => {
      const path = `${directory}/takeover`;
      const unix = `${directory}/service`;
      const tcp = listen();
      const listeners = { web: tcp, local: Deno.listen({ transport: "unix", path: unix }) };
      const told: number[] = [];
      const offer = await offerListeners(path, listeners, {
        generation: 6,
        state: () => ({ sessions: 3 }),
        onReady: ({ pid }) => void told.push(pid),
      });
      {
        await using takeover = await takeListeners(path);
        assert(takeover);
        assertEquals([takeover.generation, takeover.state, takeover.peer.pid], [
          7,
          { sessions: 3 },
          Deno.pid,
        ]);
        assertEquals(Object.keys(takeover.listeners), ["web", "local"]);
        // Both of them accept now.
        const both = Deno.connect({ port: tcp.addr.port });
        (await tcp.accept()).close();
        (await both).close();
        assertEquals(told, []);
        await takeover.ready();
        await assertRejects(() => takeover.ready(), PushError, "said already");
        assertEquals((await offer.finished)?.pid, Deno.pid);
        assertEquals(told, [Deno.pid]);
        await assertRejects(() => tcp.accept(), Deno.errors.BadResource);
        for (
          const [name, address] of [["web", { port: tcp.addr.port }], ["local", {
            transport: "unix",
            path: unix,
          }]] as const
        ) {
          const server = await takeover.listeners[name]?.pipes();
          assert(server);
          const client = "path" in address ? await Deno.connect(address) : await Deno.connect(address);
          for await (const pipe of server) {
            await pipe.send(name);
            await pipe.close();
            break;
          }
          assertEquals(await new Response(client.readable).text(), name);
          await server.close();
        }
        // The path is free for the next offer.
        assertEquals(await takeListeners(path), null);
      }
      await offer.close();
    });
  },
);

Deno.test({ ignore, name: "one takeover is under way at a time; an end is not READY" }, async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/takeover`;
    using tcp = listen();
    const failures = Promise.withResolvers<string>();
    await using offer = await offerListeners(path, { web: tcp }, {
      onFailure: (reason) => failures.resolve(reason),
    });
    const first = await takeListeners(path);
    const error = await assertRejects(() => takeListeners(path), PushError, "another takeover is under way");
    assertEquals(error.code, "refused");
    await first?.close();
    assertEquals(await failures.promise, "it ended before it was ready");
    await assertRejects(() => first?.ready() ?? Promise.resolve(), PushError, "called off");
    // As before: it accepts, and the next one may come.
    const client = Deno.connect({ port: tcp.addr.port });
    (await tcp.accept()).close();
    (await client).close();
    await using second = await takeListeners(path);
    assertEquals(second?.generation, 2);
    await offer.close();
    assertEquals(await offer.finished, null);
    await assertRejects(() => second?.ready() ?? Promise.resolve(), PushError, "given this one up");
  });
});

Deno.test(
  { ignore, name: "a successor that is late is given up, unless it has said READY by then" },
  async () => {
    await withDirectory(async (directory) => {
      for (const said of [false, true]) {
        const clock = new FakeClock();
        const path = `${directory}/takeover`;
        const tcp = listen();
        const reasons: string[] = [];
        const options: OfferListenersOptions = {
          clock,
          timeout: 1000,
          onFailure: (reason) => reasons.push(reason),
        };
        const offer = await offerListeners(path, { web: tcp }, options);
        await using takeover = await takeListeners(path);
        // Sent at once, and read by nobody before the clock has moved.
        const ready = said ? takeover?.ready() : undefined;
        clock.tick(1000);
        if (said) {
          await ready;
          assertEquals((await offer.finished)?.pid, Deno.pid);
          assertEquals(reasons, []);
        } else {
          assertEquals(reasons, ["it was not ready within 1000 ms"]);
          await assertRejects(() => takeover?.ready() ?? Promise.resolve(), PushError, "given this one up");
          await offer.close();
          tcp.close();
        }
      }
    });
  },
);

Deno.test({ ignore, name: "strangers who say something else, or nothing, change nothing" }, async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/takeover`;
    const clock = new FakeClock();
    using calls = needCalls("test");
    using tcp = listen();
    await using _offer = await offerListeners(path, { web: tcp }, { clock });
    const words = ["GET / HTTP/1.1\r\n\r\n", '{"ready":2}\n', "[]\n", "7\n", "x".repeat(5000)];
    for (const word of words) {
      const { fd } = connectPath(calls, path, undefined);
      sendMessage(calls, fd, new TextEncoder().encode(word), [fd]);
      // It is shown the door.
      const byte = new Uint8Array(1);
      while (calls.call.recv(fd, byte, 1n, 0x40) < 0 && calls.errno() === 11) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      calls.call.close(fd);
    }
    const silent = Array.from({ length: 8 }, () => connectPath(calls, path, undefined).fd);
    while (clock.pending < 8) await new Promise((resolve) => setTimeout(resolve, 1));
    clock.tick(5000);
    await using takeover = await takeListeners(path);
    assertEquals(takeover?.generation, 2);
    for (const fd of silent) calls.call.close(fd);
  });
});

Deno.test("lines of a takeover are read strictly, in any pieces", () => {
  const text = new TextEncoder().encode('{"take":1}\n{"ready":2}\n{"re');
  for (let size = 1; size <= text.length; size++) {
    const lines = new TakeoverLines(100);
    const read: unknown[] = [];
    for (let at = 0; at < text.length; at += size) read.push(...lines.feed(text.subarray(at, at + size)));
    assertEquals(read, [{ take: 1 }, { ready: 2 }]);
  }
  assertThrows(() => new TakeoverLines(3).feed(text.subarray(0, 5)), SyntaxError, "too long");
  assertThrows(() => new TakeoverLines(3).feed(Uint8Array.of(0xff, 10)), SyntaxError, "no JSON");
  const offer = { offer: 1, generation: 2, names: ["a", "b"], state: null } as const;
  assertEquals(offerOf(offer), offer);
  for (
    const wrong of [{ offer: 2 }, { names: ["a", "a"] }, { names: [1] }, { names: "a" }, { generation: 0.5 }]
  ) {
    assertThrows(() => offerOf({ ...offer, ...wrong }), SyntaxError, "Cannot read an offer");
  }
});

Deno.test({ ignore, name: "an offer that cannot be is not made" }, async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/takeover`;
    using tcp = listen();
    await assertRejects(() => offerListeners(path, {}), RangeError, "from 1 to 128");
    await assertRejects(() => offerListeners(path, { tcp }, { generation: -1 }), RangeError, "generation");
    await assertRejects(() => offerListeners(path, { tcp }, { idle: -1 }), RangeError, "idle");
    await assertRejects(() => offerListeners(`${directory}/no/such`, { tcp }), PushError);
    await assertRejects(() => offerListeners(path, { tcp }, { signal: AbortSignal.abort("no") }));
    const offer = await offerListeners(path, { tcp });
    await assertRejects(() => offerListeners(path, { tcp }), PushError, "a process listens there");
    await offer.close();
    await offer.close();
    assertEquals(await takeListeners(path), null);
  });
});
