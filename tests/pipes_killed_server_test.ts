/** What becomes of a pipe whose server is killed: over a stream that is a clean end, and the pipe's user connects anew. */

import { assertEquals } from "@std/assert";
import { connect } from "../pipes/connect.ts";
import { lengthPrefix } from "../pipes/framing.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { constant } from "../recover/backoff.ts";
import { retry } from "../recover/retry.ts";
import { startCode } from "./_code.ts";
import { requires } from "./_require.ts";

const SERVER = `
import { listen } from "#/pipes/listen.ts";
import { lengthPrefix } from "#/pipes/framing.ts";
const server = await listen(Deno.env.get("PLACE"), { framing: lengthPrefix() });
console.log("listening " + server.url);
for await (const pipe of server) pipe.on("message", ({ data }) => pipe.send(data));
`;

async function echo(pipe: Pipe, text: string): Promise<void> {
  await pipe.send(text);
  assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), text);
}

Deno.test({
  name:
    "a server that is killed has ended cleanly, so reconnect leaves it alone; on end a user connects anew",
  ...requires({ os: ["linux"] }),
  async fn() {
    const options = { framing: lengthPrefix(), reconnect: true } as const;
    const patient = retry({ maxAttempts: Infinity, backoff: constant(20) });
    await using first = startCode(SERVER, { env: { PLACE: "tcp://127.0.0.1:0" } });
    const [, url = ""] = await first.said(/listening (\S+)/);
    await using pipe = await connect(url, options);
    const anew = new Promise<Pipe>((resolve, reject) => {
      pipe.on("end", () => void connect(url, { ...options, retry: patient }).then(resolve, reject));
    });
    await echo(pipe, "before");
    first.kill("SIGKILL");
    assertEquals([await pipe.recv(), pipe.stats.reconnects], [null, 0]);
    await using _second = startCode(SERVER, { env: { PLACE: url } });
    await using next = await anew;
    await echo(next, "after");
    await pipe.close();
  },
});
