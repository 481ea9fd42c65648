/**
 * A chat that roams: `examples/session_chat.ts [URL] [NAME]`.
 *
 * Without a URL it is the server, and says how to join. What you type goes to all the others. Switch to another network, close the
 * lid, pull the cable while somebody talks: nothing is lost, nothing comes twice, nobody has to join again.
 */

// run: deno run --allow-net --allow-ffi examples/session_chat.ts

import { connect, lines } from "@holdfast/net/pipes";
import { serveSessions, type SessionPipe } from "@holdfast/net/pipes/resume";
import { onShutdown } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [url, name = "Somebody"] = Deno.args;

await using stack = new AsyncDisposableStack();
// `await using` alone does not run on Ctrl-C.
using _ = onShutdown(stack);
if (url?.startsWith("resume+")) await talk(url as `resume+${string}`);
else await serve(url ?? "127.0.0.1:0");

/** Passes each line on to everybody else. */
async function serve(place: string): Promise<void> {
  const options = { framing: lines({ max: 1000 }) };
  const server = stack.use(await serveSessions(`resume+tcp://${place}`, options));
  console.log(`Join with: examples/session_chat.ts ${server.url} NAME`);
  const clients = new Set<SessionPipe>();
  stack.defer(() => clients.forEach((client) => client.abort()));
  for await (const client of server) {
    clients.add(client);
    client.on("end", () => clients.delete(client));
    client.on("error", () => clients.delete(client));
    client.on("message", ({ data }) => {
      const others = [...clients].filter((other) => other !== client);
      return Promise.all(others.map((other) => other.send(data).catch(() => {})));
    });
  }
}

/** Sends what is typed, shows what is said. */
async function talk(url: `resume+${string}`): Promise<void> {
  const network = stack.use(await watchNetwork());
  const pipe = stack.use(await connect(url, { framing: lines(), network }));
  console.log(`${name} is there; talk`);
  pipe.on("message", ({ data }) => console.log(new TextDecoder().decode(data)));
  pipe.on("suspended", () => console.log("(no connection; what you say waits)"));
  pipe.on("resumed", ({ after }) => console.log(`(here again after ${(after / 1000).toFixed(1)} s)`));
  pipe.on("migrated", () => console.log("(another way, and nobody noticed)"));
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (const line of text.split("\n")) if (line !== "") await pipe.send(`${name}: ${line}`);
  }
}
