/** A process that takes sockets, and has no room for another descriptor. */

import { assert, assertEquals } from "@std/assert";
import { pushTo } from "../pipes/push/push.ts";
import { startCode } from "./_code.ts";
import { requires } from "./_require.ts";

/** Takes sockets, and does to its table of descriptors what is asked. */
const RECEIVER = `
  import { acquireSockets } from "#/internal/ffi/socket_calls.ts";
  import { receive } from "#/pipes/push/receive.ts";
  // The runtime dies where it has no descriptor left for its first signal handler, which it installs by itself a moment later.
  Deno.addSignalListener("SIGUSR2", () => {});
  const calls = acquireSockets();
  const { call } = calls;
  let accepts = 0;
  const accept4 = call.accept4;
  call.accept4 = (...args) => (accepts++, accept4(...args));
  await using receiver = await receive(PATH);
  const files = [];
  function fill() {
    try {
      while (true) files.push(Deno.openSync("/dev/null"));
    } catch {
      // There is no room any more.
    }
  }
  receiver.on("refused", ({ reason }) => {
    console.log("refused: " + reason + ";");
    // What the connection had is taken too: whoever pushes comes again, and cannot be let in either.
    fill();
    const before = accepts;
    setTimeout(() => {
      console.log("tried " + (accepts - before) + " times;");
      for (const file of files.splice(0)) file.close();
    }, 350);
  });
  console.log("ready;");
  for await (const received of receiver) {
    if (received.kind !== "stream") continue;
    await received.pipe.send("hello");
    await received.pipe.close();
    if (received.metadata === "last") break;
    fill();
    console.log("full;");
  }`;

async function tcp(): Promise<{ conn: Deno.TcpConn; client: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, conn] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  return { conn, client };
}

Deno.test({
  name:
    "descriptors that the system drops are noticed, and the socket comes through when there is room again",
  ...requires({ os: ["linux"], tools: ["prlimit"] }),
}, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  try {
    const path = `${directory}/worker`;
    await using child = startCode(RECEIVER.replace("PATH", JSON.stringify(path)));
    await child.said("ready;");
    const limit = new Deno.Command("prlimit", { args: ["--pid", String(child.pid), "--nofile=256:4096"] });
    assertEquals((await limit.output()).code, 0);
    await using channel = await pushTo(path);
    const first = await tcp();
    await channel.push(first.conn);
    assertEquals(await new Response(first.client.readable).text(), "hello");
    await child.said("full;");
    const last = await tcp();
    const pushed = channel.push(last.conn, { metadata: "last" });
    const [, reason] = await child.said(/refused: (.*?);/);
    assertEquals(reason, "descriptors were lost, there may be too many open");
    const [, tried] = await child.said(/tried (\d+) times;/);
    // Some, and not as often as a processor can.
    assert(Number(tried) <= 10, `${tried} times`);
    await pushed;
    assertEquals(await new Response(last.client.readable).text(), "hello");
    assertEquals((await child.result).stderr, "");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
