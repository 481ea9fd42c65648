import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer as createHttpServer } from "node:http";
import { createSocket } from "node:dgram";
import { duplicate } from "../../internal/ffi/descriptors.ts";
import { pollEnded } from "../../internal/ffi/descriptor_poll.ts";
import { adopt } from "./_adopt.ts";
import { withoutTricks } from "./_internals.ts";
import { needCalls } from "./_descriptor_calls.ts";
import { PushError } from "./push_error.ts";
import {
  countDescriptors,
  listeningDescriptor as listening,
  type Pair,
  settledCount,
  tcpPair,
  unixPair,
} from "../../tests/_push_sockets.ts";

const linux = Deno.build.os === "linux";

for (const by of ["take-stream", "node:net"] as const) {
  for (const [name, make] of [["TCP", tcpPair], ["Unix", unixPair]] as const) {
    Deno.test(
      { ignore: !linux, name: `adopt() makes a pipe of a ${name} descriptor, by ${by}` },
      async () => {
        using _off = by === "node:net" ? withoutTricks("take-stream") : undefined;
        // The runtime keeps what it loads at the first use.
        await once(make);
        const before = countDescriptors();
        await once(make, by);
        assertEquals(await settledCount(before), before);
      },
    );
  }
}

async function once(make: () => Promise<Pair>, by?: string): Promise<void> {
  const { fd, peer, close } = await make();
  const adopted = await adopt(fd, { expect: "stream", prefix: new TextEncoder().encode("first ") });
  if (by) assertEquals(adopted.by, by);
  const pipe = adopted.pipe();
  await peer.write(new TextEncoder().encode("second"));
  let text = "";
  while (text.length < 12) text += new TextDecoder().decode(await pipe.recv() ?? undefined);
  assertEquals(text, "first second");
  await pipe.send("answer");
  const buffer = new Uint8Array(16);
  const count = await peer.read(buffer);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), "answer");
  await pipe.close();
  assertEquals(await peer.read(buffer), null);
  close();
}

Deno.test({ ignore: !linux, name: "adopt() knows the addresses of both ends" }, async () => {
  const { fd, peer, close } = await tcpPair();
  const adopted = await adopt(fd, { expect: "stream" });
  assertEquals(adopted.localAddress, { ...peer.remoteAddr as Deno.NetAddr });
  assertEquals(adopted.remoteAddress, { ...peer.localAddr as Deno.NetAddr });
  adopted.abandon();
  close();
});

Deno.test(
  { ignore: !linux, name: "a pipe over an adopted descriptor gives away what came with it" },
  async () => {
    for (const tricks of [[], ["take-stream"]] as const) {
      using _off = withoutTricks(...tricks);
      const { fd, close } = await tcpPair();
      const adopted = await adopt(fd, { expect: "stream", prefix: new Uint8Array([1, 2, 3]) });
      const { connection, unread } = await adopted.pipe().detach();
      assertEquals(unread, new Uint8Array([1, 2, 3]));
      const conn = connection as { close?(): void; destroy?(): void };
      if (conn.destroy) conn.destroy();
      else conn.close?.();
      close();
    }
  },
);

Deno.test(
  { ignore: !linux, name: "adopt() closes what is no socket, and what is of another kind" },
  async () => {
    using calls = needCalls("test");
    const { fd, close } = await tcpPair();
    const before = countDescriptors();
    const open = (path: string): number =>
      calls.check(calls.call.open(new TextEncoder().encode(`${path}\0`), 0, 0), "open");
    for (const path of ["/dev/null", "/", "/etc/passwd"]) {
      const error = await assertRejects(() => adopt(open(path)), PushError);
      assertEquals(error.code, "kind");
    }
    await assertRejects(
      () => adopt(duplicate(calls, fd), { expect: "listener" }),
      PushError,
      "it is a stream",
    );
    await assertRejects(() => adopt(calls.call.socket(2, 1, 0)), PushError, "no connected or listening");
    assertEquals(countDescriptors(), before);
    calls.call.close(fd);
    close();
  },
);

Deno.test(
  { ignore: !linux, name: "an adopted listener serves pipes, and another holder goes on after it" },
  async () => {
    for (const tricks of [[], ["take-stream"]] as const) {
      using _off = withoutTricks(...tricks);
      using calls = needCalls("test");
      const fd = listening(calls);
      const second = duplicate(calls, fd);
      for (const each of [fd, second]) {
        const listener = await adopt(each, { expect: "listener" });
        const { port } = listener.localAddress as Deno.NetAddr;
        await using server = await listener.pipes();
        using client = await Deno.connect({ hostname: "127.0.0.1", port });
        for await (const pipe of server) {
          await pipe.send("hello");
          await pipe.close();
          break;
        }
        assertEquals(await new Response(client.readable).text(), "hello");
      }
    }
    await pollEnded();
  },
);

Deno.test({ ignore: !linux, name: "an adopted listener serves HTTP by Node's part" }, async () => {
  using calls = needCalls("test");
  const listener = await adopt(listening(calls), { expect: "listener" });
  const { port } = listener.localAddress as Deno.NetAddr;
  const server = await listener.serve(createHttpServer((_request, response) => void response.end("served")));
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
  assertEquals(await response.text(), "served");
  await new Promise((resolve) => server.close(resolve));
  await assertRejects(() => listener.pipes(), TypeError, "given away");
});

Deno.test({ ignore: !linux, name: "adopt() makes a socket for datagrams" }, async () => {
  using calls = needCalls("test");
  const fd = calls.call.socket(2, 2, 0);
  // struct sockaddr_in, 127.0.0.1 and any port
  calls.check(
    calls.call.bind(fd, new Uint8Array([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 16),
    "bind",
  );
  const adopted = await adopt(fd, { expect: "datagram" });
  const { port } = adopted.localAddress as Deno.NetAddr;
  const got = new Promise<string>((resolve) =>
    adopted.socket.once("message", (data) => resolve(String(data)))
  );
  const sender = createSocket("udp4");
  sender.send("datagram", port, "127.0.0.1");
  assertEquals(await got, "datagram");
  sender.close();
  adopted.abandon();
  await new Promise((resolve) => setTimeout(resolve, 0));
});

Deno.test({
  ignore: !linux,
  name: "without a way to make a socket for datagrams adopt() says so, and closes",
}, async () => {
  using _off = withoutTricks("datagram");
  using calls = needCalls("test");
  const before = countDescriptors();
  const fd = calls.call.socket(2, 2, 0);
  calls.check(
    calls.call.bind(fd, new Uint8Array([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), 16),
    "bind",
  );
  const error = await assertRejects(() => adopt(fd), PushError);
  assertEquals(error.code, "descriptor");
  assertEquals(countDescriptors(), before);
});

Deno.test({ ignore: !linux, name: "a stranger's socket does not hold up closing" }, async () => {
  using calls = needCalls("test");
  const { fd, peer, close } = await tcpPair();
  // struct linger { on, seconds }, and more to send than the other end reads
  calls.call.setsockopt(fd, 1, 13, new Uint8Array(new Int32Array([1, 30]).buffer), 8);
  calls.call.fcntl(fd, 2, 0);
  const adopted = await adopt(fd, { expect: "stream" });
  assert((calls.call.fcntl(fd, 1, 0) & 1) === 1);
  assert((calls.call.fcntl(fd, 3, 0) & 0x800) === 0x800);
  const value = new Uint8Array(8);
  calls.call.getsockopt(fd, 1, 13, value, new Uint8Array(new Uint32Array([8]).buffer));
  // l_onoff; how long it would last does not matter then
  assertEquals(value.subarray(0, 4), new Uint8Array(4));
  adopted.abandon();
  assertEquals(await peer.read(new Uint8Array(1)), null);
  close();
});
