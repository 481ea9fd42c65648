import { assertEquals } from "@std/assert";
import { runCode } from "./_code.ts";

/** Both ends of a WebSocket. */
const CODE = `
import { connect, listen } from "#/pipes/ws.ts";
await using server = await listen("ws://127.0.0.1:0");
const next = async () => {
  for await (const pipe of server) return pipe;
};
const [client, accepted] = await Promise.all([connect(server.url), next()]);
await client.send("hello");
console.log(new TextDecoder().decode(await accepted.recv()));
await Promise.all([client.close(), accepted.close()]);`;

Deno.test("a WebSocket pipe needs the permission net for its addresses, and no other", async () => {
  const result = await runCode(CODE, { flags: ["--no-prompt", "--allow-net=127.0.0.1"] });
  assertEquals(result, { code: 0, stdout: "hello\n", stderr: "" });
});
