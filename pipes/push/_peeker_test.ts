import { assert, assertEquals, assertRejects } from "@std/assert";
import { pollEnded } from "../../internal/ffi/descriptor_poll.ts";
import { FakeClock } from "../../testing/fake_clock.ts";
import { clientHello, latin1, serverName } from "../../tests/_peek_bytes.ts";
import { countDescriptors, settledCount, tcpPair, unixPair } from "../../tests/_push_sockets.ts";
import { adopt } from "./_adopt.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { peekDescriptor } from "./_peeker.ts";
import { PushError } from "./push_error.ts";

const ignore = Deno.build.os !== "linux";
const HELLO = clientHello({ extensions: [serverName("a.example")] });
const ROUTE = { kind: "tls", name: "a.example", alpn: [] } as const;

/** Reads what is still there, which must be all. */
async function assertUntouched(fd: number, bytes: Uint8Array): Promise<void> {
  const stream = await adopt(fd, { expect: "stream" });
  const pipe = stream.pipe();
  let size = 0;
  for await (const message of pipe.messages) {
    assertEquals(message, bytes.slice(size, size + message.length));
    size += message.length;
    if (size >= bytes.length) break;
  }
  assertEquals(size, bytes.length);
  await pipe.close();
}

function closeDescriptor(fd: number): void {
  using calls = needCalls("close a descriptor");
  calls.call.close(fd);
}

for (const [name, make] of [["TCP", tcpPair], ["Unix sockets", unixPair]] as const) {
  Deno.test(
    { ignore, name: `the route of a connection of ${name} is told, and no byte is taken` },
    async () => {
      for (const pieces of [[HELLO], [HELLO.subarray(0, 1), HELLO.subarray(1, 50), HELLO.subarray(50)]]) {
        const { fd, peer, close } = await make();
        const route = peekDescriptor(fd);
        for (const piece of pieces) {
          await peer.write(piece);
          // Some of it was looked at before the rest comes.
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        assertEquals(await route, ROUTE);
        assertEquals(await peekDescriptor(fd), ROUTE);
        await assertUntouched(fd, HELLO);
        close();
      }
      await pollEnded();
    },
  );

  Deno.test(
    { ignore, name: `a client of ${name} that drips one byte after the other is given up in time` },
    async () => {
      const { fd, peer, close } = await make();
      let turns = 0;
      let sent = 0;
      const dripping = setInterval(() => {
        turns++;
        void peer.write(HELLO.subarray(sent, sent + 1)).then(() => sent++);
      }, 20);
      const error = await assertRejects(() => peekDescriptor(fd, { timeout: 300 }), PushError);
      clearInterval(dripping);
      assertEquals([error.code, error.message], [
        "timeout",
        "Cannot tell where a connection goes: it was not said within 300 ms",
      ]);
      // The event loop went on all the while.
      assert(turns >= 3 && sent >= 3, `${turns} turns, ${sent} bytes`);
      await peer.write(HELLO.subarray(sent));
      assertEquals(await peekDescriptor(fd), ROUTE);
      await assertUntouched(fd, HELLO);
      close();
      await pollEnded();
    },
  );

  Deno.test(
    { ignore, name: `a client of ${name} that has gone is told as that, whatever it has said` },
    async () => {
      for (const said of [new Uint8Array(), HELLO.subarray(0, 30)]) {
        const { fd, peer, close } = await make();
        await peer.write(said);
        const peeking = assertRejects(
          () => peekDescriptor(fd),
          PushError,
          said.length ? "after 30 bytes" : "a word",
        );
        close();
        assertEquals((await peeking).code, "closed");
        closeDescriptor(fd);
      }
      await pollEnded();
    },
  );
}

Deno.test({ ignore, name: "a silent client is given up in time, and costs no turn until then" }, async () => {
  const clock = new FakeClock();
  const { fd, close } = await tcpPair();
  const peeking = assertRejects(() => peekDescriptor(fd, { clock }), PushError, "within 5000 ms");
  clock.tick(4999);
  clock.tick(1);
  assertEquals((await peeking).code, "timeout");
  closeDescriptor(fd);
  close();
  await pollEnded();
});

Deno.test({ ignore, name: "peeking is called off by a signal, before and meanwhile" }, async () => {
  const { fd, peer, close } = await tcpPair();
  for (const said of [[], [22], [3, 1]]) {
    await peer.write(Uint8Array.from(said));
    const controller = new AbortController();
    const peeking = assertRejects(() => peekDescriptor(fd, { signal: controller.signal }), Error, "enough");
    controller.abort(new Error("enough"));
    await peeking;
    await assertRejects(() => peekDescriptor(fd, { signal: controller.signal }), Error, "enough");
  }
  closeDescriptor(fd);
  close();
  await pollEnded();
});

Deno.test({
  ignore,
  name: "what is no protocol known here is unknown at once, and what says too much as well",
}, async () => {
  for (const bytes of [latin1("SSH-2.0-x\r\n"), latin1(`GET /${"a".repeat(20_000)}`)]) {
    const { fd, peer, close } = await tcpPair();
    await peer.write(bytes);
    assertEquals(await peekDescriptor(fd), "unknown");
    await assertUntouched(fd, bytes);
    close();
  }
  await pollEnded();
});

Deno.test(
  { ignore, name: "a descriptor that is no connection is an error, and mistakes are named" },
  async () => {
    using calls = needCalls("make a socket");
    const fd = calls.call.socket(2, 1, 0);
    // ENOTCONN
    await assertRejects(() => peekDescriptor(fd), PushError, "error 107");
    calls.call.close(fd);
    await assertRejects(() => peekDescriptor(fd, { timeout: NaN }), RangeError, "got NaN");
  },
);

Deno.test({ ignore, name: "a hundred silent clients at once leave nothing behind" }, async () => {
  const round = async (count: number): Promise<void> => {
    const pairs = await Promise.all(Array.from({ length: count }, tcpPair));
    const peeking = pairs.map(({ fd }) => peekDescriptor(fd));
    await Promise.all(pairs.map(({ peer }) => peer.write(HELLO)));
    for (const route of await Promise.all(peeking)) assertEquals(route, ROUTE);
    for (const { fd, close } of pairs) {
      closeDescriptor(fd);
      close();
    }
    await pollEnded();
  };
  await round(1);
  const before = countDescriptors();
  await round(100);
  assertEquals(await settledCount(before), before);
});
