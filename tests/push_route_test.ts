/** A front that has no keys, and two processes that end TLS for the names that are theirs. */

import { assert, assertEquals } from "@std/assert";
import { routePushes } from "../pipes/push/route.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { startCode } from "./_code.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { requires, scale } from "./_require.ts";

/** Takes connections, and answers over TLS who it is and what was said. */
const WORKER = `
  import { once } from "node:events";
  import { Duplex } from "node:stream";
  import { createSecureContext, TLSSocket } from "node:tls";
  import { receive } from "#/pipes/push/receive.ts";
  const { path, name, cert, key } = SETTINGS;
  const secureContext = createSecureContext({ cert, key });
  await using receiver = await receive(path);
  console.log("ready");
  for await (const received of receiver) {
    if (received.kind !== "stream") continue;
    const { readable, writable } = received.pipe;
    // Node's streams and the web's are the same here, whatever their types say.
    const stream = Duplex.fromWeb({ readable, writable } as unknown as Parameters<typeof Duplex.fromWeb>[0]);
    const socket = new TLSSocket(stream, { isServer: true, secureContext });
    socket.on("error", (error) => console.error(error));
    socket.once("data", (data) => socket.end(name + " of " + Deno.pid + " heard " + data));
  }`;

Deno.test({
  name: "connections of TLS go by their names to the processes that end it, and the front has no key",
  ...requires({ os: ["linux"] }),
}, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  const authority = await makeTestAuthority();
  const names = ["a.example", "b.example"];
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const pids = await Promise.all(names.map(async (name) => {
    const settings = { path: `${directory}/${name}`, name, ...await authority.issue({ names: [name] }) };
    const worker = stack.use(
      startCode(WORKER.replace("SETTINGS", JSON.stringify(settings)), { bound: 120_000 }),
    );
    await worker.said("ready");
    return worker.pid;
  }));
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await using router = await routePushes(listener, {
    routes: { sni: Object.fromEntries(names.map((name) => [name, `${directory}/${name}`])) },
    timeout: 30_000,
  });
  const answered = new Map<string, number>();
  const one = async (index: number): Promise<void> => {
    const name = names[index % 2] ?? "";
    const conn = await Deno.connect({ port });
    const secure = await Deno.startTls(conn, { hostname: name, caCerts: [authority.cert] });
    await secure.write(new TextEncoder().encode(`number ${index}`));
    const text = await new Response(secure.readable).text();
    assertEquals(text, `${name} of ${pids[index % 2]} heard number ${index}`);
    answered.set(name, (answered.get(name) ?? 0) + 1);
  };
  const before = countDescriptors();
  const count = scale(40, 400);
  for (let at = 0; at < count; at += 20) {
    await Promise.all(Array.from({ length: Math.min(20, count - at) }, (_, index) => one(at + index)));
  }
  assertEquals([...answered.values()].reduce((sum, value) => sum + value), count);
  assertEquals(router.counts, { routed: count, unrouted: 0 });
  // The connections to the two processes stay.
  assert(await settledCount(before + 2) <= before + 2);
});
