/**
 * A WebSocket that never hangs half-open: `examples/websocket.ts [SECONDS] [URL]`.
 *
 * The server at the other end must send back what it gets. Pull the cable while it runs: the silence is noticed within
 * seconds, where a WebSocket alone would wait for ever, and a new connection is made as soon as there is a network. It
 * ends after so many seconds (60). Without a URL it talks to a server of its own, on this machine.
 */

// run: deno run --allow-net --allow-ffi examples/websocket.ts 2

import { heartbeat, onShutdown, supervise } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [seconds = "60", url] = Deno.args;

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);
const watcher = stack.use(await watchNetwork());
const address = url ?? ownServer();

/** One connection, from its beginning to its end. */
async function talk(signal: AbortSignal): Promise<void> {
  const socket = new WebSocket(address);
  const over = Promise.withResolvers<void>();
  socket.onclose = (event) => event.wasClean ? over.resolve() : over.reject(event);
  let answered = (): void => {};
  // Where messages of other kinds come as well, each of them is a sign of life: `beat.alive()`.
  socket.onmessage = () => answered();
  // The client's WebSocket has no ping of its own, so a message is one.
  const ping = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      answered = resolve;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (socket.readyState === WebSocket.OPEN) socket.send("ping");
    });
  using beat = heartbeat({ ping, interval: 1000, network: watcher });
  beat.on("pong", ({ rtt }) => console.log(`Alive, ${rtt.toFixed(1)} ms away`));
  beat.on("suspect", () => console.log("No answer; asking once more"));
  beat.signal.addEventListener("abort", () => over.reject(beat.signal.reason), { once: true });
  signal.addEventListener("abort", () => socket.close(), { once: true });
  socket.onopen = () => beat.check();
  try {
    await over.promise;
  } finally {
    socket.close();
  }
}

const network = url === undefined ? {} : { network: watcher };
const task = stack.use(supervise("the conversation", ({ signal }) => talk(signal), { ...network }));
task.on("failed", ({ failure }) => console.log(`Lost: ${failure.hint}`));
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
await task.stop();
console.log("Done");

/** A server that sends back what it gets. */
function ownServer(): string {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  stack.defer(() => server.shutdown());
  return `ws://127.0.0.1:${server.addr.port}/`;
}
