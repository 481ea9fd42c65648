/** The examples of servers, run as a reader would run them. */

import { assert, assertEquals } from "@std/assert";
import { descriptorsOf } from "./_child.ts";
import { type RunningExample, startExample } from "./_example.ts";
import { requires } from "./_require.ts";

const start = (...args: readonly string[]): RunningExample =>
  startExample(["--allow-net=127.0.0.1"], "server_under_exhaustion.ts", ...args);

/** Asks until an answer comes: where a server is just away, the next connection may be refused or reset. */
async function untilAnswered(ask: () => Promise<string>): Promise<string> {
  while (true) {
    const answer = await ask().catch(() => "");
    if (answer !== "") return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test({
  name: "the example server outlives the loss of its descriptors, over HTTP and over TCP",
  ...requires({ os: ["linux"], tools: ["prlimit"] }),
  async fn() {
    await using example = start("60", "0");
    const [, http, echo] = await example.said(
      /HTTP at http:\/\/127.0.0.1:(\d+)\/, echo at 127.0.0.1:(\d+)\n/,
    );
    const count = descriptorsOf(example.pid).length + 10;
    const limited = await new Deno.Command("prlimit", {
      args: [`--pid=${example.pid}`, `--nofile=${count}:${count}`],
    }).output();
    assert(limited.success);

    const storm = async (port: number): Promise<Disposable> => {
      const attempts = Array.from({ length: 40 }, () => Deno.connect({ hostname: "127.0.0.1", port }));
      const settled = await Promise.allSettled(attempts);
      const open = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
      return { [Symbol.dispose]: () => open.forEach((connection) => connection.close()) };
    };
    {
      using _clients = await storm(Number(echo));
      await example.said(/No descriptors; accepting again within \d+ ms/);
    }
    const echoed = await untilAnswered(async () => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(echo) });
      await connection.write(new TextEncoder().encode("hello"));
      const buffer = new Uint8Array(100);
      return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    });
    assertEquals(echoed, "hello");
    {
      using _clients = await storm(Number(http));
      await example.said(/The HTTP server is down: .*Too many open files/);
    }
    using client = Deno.createHttpClient({});
    const answer = await untilAnswered(async () =>
      await (await fetch(`http://127.0.0.1:${http}/`, { client })).text()
    );
    assertEquals(answer, "hello\n");
    await example.said(/The HTTP server is back after \d+ ms/);
    example.kill("SIGTERM");
    assertEquals(await example.ended, 143);
  },
});

Deno.test("the example server ends after as many seconds as it was told", async () => {
  await using example = start("0.1", "0");
  await example.said(/Done/);
  assertEquals(await example.ended, 0);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `the example server ends with code ${code} on ${signal}, also with a client connected`,
    ...requires({ os: ["linux", "darwin"] }),
    async fn() {
      await using example = start("60", "0");
      const [, , echo] = await example.said(/HTTP at http:\/\/127.0.0.1:(\d+)\/, echo at 127.0.0.1:(\d+)\n/);
      using _client = await Deno.connect({ hostname: "127.0.0.1", port: Number(echo) });
      example.kill(signal);
      assertEquals(await example.ended, code);
    },
  });
}
