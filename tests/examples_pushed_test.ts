/** The examples of pushed sockets, run as a reader would run them. */

import { assertEquals, assertMatch } from "@std/assert";
import { startExample } from "./_example.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"], tools: ["python3"] });

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({ name: "examples/push_to_python.ts: what Deno accepts Python serves", ...needs }, async () => {
  await using example = startExample(["-A"], "push_to_python.ts", "0");
  const [, port] = await example.said(/127\.0\.0\.1:(\d+)/);
  for (const word of ["one", "two"]) {
    const client = await Deno.connect({ port: Number(port) });
    await client.write(new TextEncoder().encode(`${word}\n`));
    await client.closeWrite();
    assertMatch(await new Response(client.readable).text(), new RegExp(`^Python \\d+ heard: ${word}\n$`));
  }
  await example.said(/Process \d+ has it/);
});

Deno.test(
  { name: "examples/push_zero_downtime.ts: each takes over from the one before", ...needs },
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
    const args = [String(freePort()), `${directory}/takeover`] as const;
    const ask = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${args[0]}`, { headers: { connection: "close" } });
      return (await response.text()).split(",")[0] ?? "";
    };
    await using first = startExample(["-A"], "push_zero_downtime.ts", ...args);
    await first.said("Generation 1 serves");
    assertEquals(await ask(), "Served by generation 1");
    await using second = startExample(["-A"], "push_zero_downtime.ts", ...args);
    await second.said("Generation 2 serves");
    await first.said(`Process ${second.pid} has taken over`);
    assertEquals(await first.ended, 0);
    assertEquals(await ask(), "Served by generation 2");
    await second[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true });
  },
);

Deno.test(
  { name: "examples/push_sni_front.ts: each name is served by its own process", ...needs },
  async () => {
    await using example = startExample(["-A"], "push_sni_front.ts", "0");
    const [, port, directory] = await example.said(/127\.0\.0\.1:(\d+), certificates in (\S+)/);
    for (const hostname of ["a.example", "b.example"]) {
      const conn = await Deno.connect({ port: Number(port) });
      const caCerts = [await Deno.readTextFile(`${directory}/${hostname}.pem`)];
      const secure = await Deno.startTls(conn, { hostname, caCerts });
      assertMatch(
        await new Response(secure.readable).text(),
        new RegExp(`^This is ${hostname}, process \\d+\n$`),
      );
      await example.said(new RegExp(`One for ${hostname}, process \\d+`));
    }
  },
);
