/** Both ends of a tunnel as processes of the command line, without the C library: Node's sockets do what has to be done. */

import { assertEquals } from "@std/assert";
import { resetConnection } from "../internal/ffi/sockets_linux.ts";
import { denoArgs } from "./_cli.ts";
import { requires } from "./_require.ts";
import { readToEnd, writeMuch } from "./_tunnel_ends.ts";

const FLAGS = ["--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];

/** A command that runs until it is ended; gives its address. */
async function start(args: readonly string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: denoArgs(["tunnel", ...args, "--json"], FLAGS),
    ...{ stdin: "null", stdout: "piped", stderr: "null" },
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  const reader = lines.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Cannot go on: it has ended after ${JSON.stringify(text)}`);
    text += value;
  }
  // What it still says must not hold it up.
  const draining = (async () => {
    while (!(await reader.read()).done) { /* Nobody wants it. */ }
  })();
  const address: string = JSON.parse(text.split("\n")[0] ?? "").address.replace("tcp://", "");
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await draining;
    },
  };
}

Deno.test({
  name: "without the C library ends are ends, resets are resets, and large transfers whole",
  ...requires({ os: ["linux"] }),
  async fn() {
    const folder = await Deno.makeTempDir();
    const file = `${folder}/key`;
    await new Deno.Command(Deno.execPath(), { args: denoArgs(["tunnel", "key", file], FLAGS) }).output();
    using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const key = ["--key-file", file];
    {
      const to = `127.0.0.1:${target.addr.port}`;
      await using server = await start(["serve", "--listen", "127.0.0.1:0", "--to", to, ...key]);
      await using client = await start([
        "connect",
        "--listen",
        "127.0.0.1:0",
        "--server",
        server.address,
        ...key,
      ]);
      const port = Number(client.address.split(":").at(-1));
      {
        using program = await Deno.connect({ port });
        using served = await target.accept();
        const total = 4_000_000;
        const sending = writeMuch(program, total).finally(() => program.closeWrite());
        const heard = await readToEnd(served);
        assertEquals(heard, { count: total, hash: await sending, end: "end" });
        const back = writeMuch(served, 1000).finally(() => served.closeWrite());
        assertEquals(await readToEnd(program), { count: 1000, hash: await back, end: "end" });
      }
      for (const side of ["program", "target"]) {
        using program = await Deno.connect({ port });
        using served = await target.accept();
        await program.write(new Uint8Array(1));
        await served.read(new Uint8Array(1));
        const [one, other] = side === "program" ? [program, served] : [served, program];
        resetConnection(one.localAddr, one.remoteAddr);
        assertEquals((await readToEnd(other)).end, "reset", side);
      }
    }
    await Deno.remove(folder, { recursive: true });
  },
});
