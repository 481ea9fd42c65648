import { assertEquals, assertRejects } from "@std/assert";
import { makeCertificates } from "../tests/_certificates.ts";
import { lines } from "./framing.ts";
import { pipeFromConn } from "./from_conn.ts";
import { PipeError } from "./pipe_error.ts";

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function pair(): Promise<readonly [Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
}

Deno.test("a connection belongs to its pipe, which closes it", async () => {
  const [mine, theirs] = await pair();
  await using pipe = await pipeFromConn(theirs, { framing: lines() });
  await mine.write(bytes("one\ntw"));
  await mine.write(bytes("o\n"));
  assertEquals([text(await pipe.recv()), text(await pipe.recv())], ["one", "two"]);
  assertEquals(pipe.remoteAddress.port, mine.localAddr.port);
  await pipe.close();
  assertEquals(await mine.read(new Uint8Array(1)), null);
  mine.close();
  await assertRejects(() => theirs.write(bytes("x")), Deno.errors.BadResource);
});

Deno.test("a connection of somebody else's outlives its pipe, closed and aborted alike", async () => {
  const [mine, theirs] = await pair();
  const first = await pipeFromConn(theirs, { owned: false });
  await first.send("one");
  await first.close();
  assertEquals((await assertRejects(() => first.send("x"), PipeError)).code, "closed");
  const second = await pipeFromConn(theirs, { owned: false });
  second.abort();
  await theirs.write(bytes("two"));
  const buffer = new Uint8Array(6);
  let got = 0;
  while (got < 6) got += await mine.read(buffer.subarray(got)) ?? 6;
  assertEquals(text(buffer), "onetwo");
  mine.close();
  theirs.close();
});

Deno.test("of TLS the handshake is waited for, and one that fails leaves the connection to its owner", async () => {
  const { ca, valid } = await makeCertificates();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...valid, alpnProtocols: ["a"] });
  const { port } = listener.addr;
  const options = { hostname: "127.0.0.1", port, caCerts: [ca], alpnProtocols: ["a"] };
  const accepting = listener.accept();
  const [client, server] = await Promise.all([
    Deno.connectTls(options).then((conn) => pipeFromConn(conn)),
    accepting.then((conn) => pipeFromConn(conn)),
  ]);
  assertEquals([client.alpn, server.alpn, server.transport], ["a", "a", "tls"]);
  await Promise.all([client.close(), server.close()]);

  const plain = await Deno.connect({ hostname: "127.0.0.1", port });
  const conn = await listener.accept();
  await plain.write(bytes("GET / HTTP/1.1\r\n\r\n"));
  await assertRejects(() => pipeFromConn(conn), Deno.errors.InvalidData);
  plain.close();
  conn.close();
});
