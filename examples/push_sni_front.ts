/**
 * A front for servers of TLS that has no keys: `examples/push_sni_front.ts [PORT]`.
 *
 * It looks at the name in the first bytes of each connection and hands the connection itself to the process that owns
 * the name, a Worker of this program here. From then on the front has nothing to do with it, not even with its bytes.
 */

// run: deno run -A examples/push_sni_front.ts 8443

import { receive, routePushes } from "@holdfast/net/pipes/push";
import { makeTestAuthority } from "@holdfast/net/testing";
import { Duplex } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";

const [first = "8443", name, path] = Deno.args;
if (name !== undefined && path !== undefined) await worker(name, path);
else await front(Number(first));

/** Accepts, and hands over. */
async function front(port: number): Promise<void> {
  const directory = await Deno.makeTempDir();
  const sni: Record<string, string> = {};
  for (const name of ["a.example", "b.example"]) {
    sni[name] = `${directory}/${name}`;
    const args = ["run", "-A", new URL(import.meta.url).pathname, "worker", name, sni[name]];
    // deno-lint-ignore holdfast/doors -- a program of its own
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    // It says what its clients may trust when it takes connections.
    const { value } = await child.stdout.getReader().read();
    await Deno.writeFile(`${directory}/${name}.pem`, value ?? new Uint8Array());
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  await using router = await routePushes(listener, { routes: { sni } });
  router.on(
    "routed",
    ({ path, peer }) => console.log(`One for ${path.split("/").at(-1)}, process ${peer.pid}`),
  );
  router.on("unrouted", ({ error }) => console.log(error.message));
  console.log(`Listening on 127.0.0.1:${listener.addr.port}, certificates in ${directory}`);
  await router.closed;
}

/** Ends TLS for one name. */
async function worker(name: string, path: string): Promise<void> {
  // Nobody outlives the front.
  void new Response(Deno.stdin.readable).arrayBuffer().then(() => Deno.exit());
  const authority = await makeTestAuthority();
  const secureContext = createSecureContext({ ...await authority.issue({ names: [name] }) });
  await using receiver = await receive(path);
  await Deno.stdout.write(new TextEncoder().encode(authority.cert));
  for await (const received of receiver) {
    if (received.kind !== "stream") continue;
    const { readable, writable } = received.pipe;
    // Node's streams and the web's are the same here, whatever their types say.
    const stream = Duplex.fromWeb({ readable, writable } as unknown as Parameters<typeof Duplex.fromWeb>[0]);
    const socket = new TLSSocket(stream, { isServer: true, secureContext });
    socket.on("error", () => {}); // a client that does not trust us, for example
    socket.on("secure", () => socket.end(`This is ${name}, process ${Deno.pid}\n`));
  }
}
