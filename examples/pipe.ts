/**
 * A chat over a pipe that outlives its connection: `examples/pipe.ts [SECONDS] [URL]`.
 *
 * Each line is a message. Switch to another network while it runs: the pipe tells of it, connects again, and goes on; what is
 * said meanwhile waits in it. It ends after so many seconds (60). Without a URL it runs a server of its own and talks to
 * itself; a second one can be given that server's URL, and so can `holdfast pipe URL --framing lines`.
 */

// run: deno run --allow-net --allow-ffi examples/pipe.ts 2

import { connect, lines, listen, type Pipe } from "@holdfast/net/pipes";
import { onShutdown } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [seconds = "60", url] = Deno.args;

await using stack = new AsyncDisposableStack();
// `await using` alone does not run on Ctrl-C.
using _ = onShutdown(stack);
const network = stack.use(await watchNetwork());
const server = url ?? await ownServer();

const alice = await join("Alice");
const bob = await join("Bob");
const end = performance.now() + Number(seconds) * 1000;
for (let n = 1; performance.now() < end; n++) {
  await alice.send(`Hello number ${n}`);
  await bob.send(`Yes, ${n}`);
  await new Promise((resolve) => setTimeout(resolve, 500));
}
console.log(`Done: Bob was sent ${bob.stats.messagesReceived} messages`);

/** Joins the chat. */
async function join(name: string): Promise<Pipe> {
  const pipe = stack.use(await connect(server, { framing: lines(), network, reconnect: true }));
  pipe.on("message", ({ data }) => console.log(`${name} reads: ${new TextDecoder().decode(data)}`));
  pipe.on("up", ({ reconnects }) => console.log(`${name} is connected${reconnects > 0 ? " again" : ""}`));
  pipe.on("offline", () => console.log(`${name} is offline`));
  pipe.on("defaultinterfacechange", () => console.log(`${name} has another way out`));
  pipe.on("addresslost", ({ address }) => console.log(`${name} had the address ${address}, which is gone`));
  return pipe;
}

/** A server that passes each line on to everybody else. */
async function ownServer(): Promise<string> {
  const clients = new Set<Pipe>();
  stack.defer(async () => void await Promise.all([...clients].map((client) => client.close())));
  const server = stack.use(await listen("tcp://127.0.0.1:0", { framing: lines({ max: 1000 }) }));
  const welcome = (client: Pipe): void => {
    clients.add(client);
    client.on("end", () => clients.delete(client));
    // Who reads too slowly holds those back who talk, and not the memory; who has just left is missed by nobody.
    client.on("message", ({ data }) => {
      const others = [...clients].filter((other) => other !== client);
      return Promise.all(others.map((other) => other.send(data).catch(() => {})));
    });
  };
  (async () => {
    for await (const client of server) welcome(client);
  })();
  console.log(`The server is ${server.url}`);
  return server.url;
}
