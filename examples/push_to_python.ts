/**
 * Deno accepts, Python serves: `examples/push_to_python.ts [PORT]`.
 *
 * Each connection is handed to a service of asyncio, which needs nothing but a few lines of its own (`push_to_python.py`).
 * Until it has taken a connection, that stays here, and is lost with neither process.
 */

// run: deno run -A examples/push_to_python.ts 8007

import { pushTo } from "@holdfast/net/pipes/push";

const [port = "8007"] = Deno.args;
const path = `${await Deno.makeTempDir()}/python`;
const program = new URL("push_to_python.py", import.meta.url).pathname;
// deno-lint-ignore holdfast/doors -- a program of its own
const python = new Deno.Command("python3", { args: [program, path], stdout: "piped" }).spawn();
await python.stdout.getReader().read(); // "ready"

await using channel = await pushTo(path, { plain: true });
const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(port) });
console.log(`Listening on 127.0.0.1:${listener.addr.port}`);
for await (const conn of listener) {
  channel.push(conn).then(
    ({ peer }) => console.log(`Process ${peer.pid} has it`),
    (error) => {
      console.log(error.message);
      conn.close();
    },
  );
}
