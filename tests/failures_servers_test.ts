/** Sockets that cannot be listened on: brought about, known by name, and healed. */

import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { createSocket, type Socket } from "node:dgram";
import { constant } from "../recover/backoff.ts";
import { classify } from "../recover/classify.ts";
import { retry } from "../recover/retry.ts";
import { startCode } from "./_code.ts";
import { requires } from "./_require.ts";

const linux = requires({ os: ["linux"] });

/** What a call throws. */
function refusal(call: () => { close(): void }): Error & { readonly code?: string } {
  return assertThrows(() => call().close(), Error);
}

/** Binds a socket for datagrams. */
function bindDatagrams(where: { readonly address: string; readonly port?: number }): Promise<Socket> {
  const socket = createSocket("udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(where, () => resolve(socket));
  });
}

/** Connects, and hands the connection to a listener that answers one word. */
async function answers(listener: Deno.Listener, connect: () => Promise<Deno.Conn>): Promise<string> {
  const [server, client] = await Promise.all([listener.accept(), connect()]);
  await server.write(new TextEncoder().encode("hello"));
  server.close();
  const buffer = new Uint8Array(100);
  const answer = new TextDecoder().decode(buffer.subarray(0, await client.read(buffer) ?? 0));
  client.close();
  return answer;
}

Deno.test({
  name: "address-in-use: a second listener is refused, retry() listens when the first one has ended",
  ...linux,
  async fn() {
    const hostname = "127.0.0.1";
    const first = Deno.listen({ hostname, port: 0 });
    const { port } = first.addr;
    const datagrams = await bindDatagrams({ address: hostname });
    const refusals = {
      tcp: refusal(() => Deno.listen({ hostname, port })),
      wildcard: refusal(() => Deno.listen({ hostname: "0.0.0.0", port })),
      udp: await bindDatagrams({ address: hostname, port: datagrams.address().port }).catch((error) => error),
    };
    assertInstanceOf(refusals.tcp, Deno.errors.AddrInUse);
    for (const [way, error] of Object.entries(refusals)) {
      assertEquals(error.code, "EADDRINUSE", way);
      const { scenario, retry } = classify(error, { operation: "listen", localAddress: hostname });
      assertEquals([scenario, retry], ["address-in-use", "later"], way);
    }
    datagrams.close();

    // The process before ends while the new one tries.
    const policy = retry({ operation: "listen", maxAttempts: 6, backoff: constant(200) });
    const failures: number[] = [];
    using _failure = policy.on("failure", ({ attempt }) => {
      failures.push(attempt);
      if (attempt === 1) first.close();
    });
    // Connections of the one before, which linger in TIME_WAIT, are no hindrance.
    assertEquals(await answers(first, () => Deno.connect({ hostname, port })), "hello");
    using second = await policy.execute(() => Deno.listen({ hostname, port }));
    assertEquals(failures, [0, 1]);
    assertEquals(await answers(second, () => Deno.connect({ hostname, port })), "hello");
  },
});

/** Listens on a Unix socket, in place of a process that is gone and has left its file. */
async function listenUnix(path: string): Promise<Deno.UnixListener> {
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
  }
  const other = await Deno.connect({ transport: "unix", path }).catch((error) => error);
  if (!(other instanceof Error)) {
    other.close();
    throw new Deno.errors.AddrInUse(`Cannot listen on "${path}": somebody does`);
  }
  const { scenario } = classify(other, { operation: "connect", remoteAddress: path });
  assertEquals(scenario, "unix-socket-stale");
  await Deno.remove(path);
  return Deno.listen({ transport: "unix", path });
}

Deno.test({
  name: "unix-socket-stale: a killed server leaves its file, who finds nobody behind it takes its place",
  ...linux,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "holdfast-unix-" });
    const path = `${folder}/server.sock`;
    const connect = () => Deno.connect({ transport: "unix", path });
    const failed = async (): Promise<Error & { readonly code?: string }> => {
      const error = await connect().then(() => null, (error) => error);
      assertInstanceOf(error, Error);
      return error;
    };
    const nobody = await failed();
    assertEquals([nobody.name, nobody.code], ["NotFound", "ENOENT"]);
    {
      await using server = startCode(`
        Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} });
        console.log("listening");
        setInterval(() => {}, 1000);
      `);
      await server.said("listening");
      server.kill("SIGKILL");
      await server.result;
    }
    const stale = await failed();
    assertEquals([stale.name, stale.code], ["ConnectionRefused", "ECONNREFUSED"]);
    for (const error of [nobody, stale]) {
      const { scenario } = classify(error, { operation: "connect", remoteAddress: path });
      assertEquals(scenario, "unix-socket-stale", error.name);
    }
    const taken = refusal(() => Deno.listen({ transport: "unix", path }));
    assertEquals([taken.name, taken.code], ["AddrInUse", "EADDRINUSE"]);
    const { scenario, retry } = classify(taken, { operation: "listen", localAddress: path });
    assertEquals([scenario, retry], ["unix-socket-stale", "later"]);

    {
      using listener = await listenUnix(path);
      assertEquals(await answers(listener, connect), "hello");
      // Where somebody is, nobody takes his place.
      const refused = listenUnix(path).then(() => null, (error) => error);
      (await listener.accept()).close();
      assertInstanceOf(await refused, Deno.errors.AddrInUse);
      assertEquals(await answers(listener, connect), "hello");
    }
    await Deno.remove(folder, { recursive: true });
  },
});
