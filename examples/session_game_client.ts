/**
 * A player of `examples/session_game_server.ts`: `examples/session_game_client.ts URL NAME [STEPS]`.
 *
 * It walks about by itself, a step ten times a second, and checks that it hears of every step of everybody, in order.
 */

// run: deno run --allow-net --allow-ffi examples/session_game_client.ts resume+tcp://127.0.0.1:7000 Ann

import { connect, lines } from "@holdfast/net/pipes";
import { onShutdown } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

const [url, name = "Ann", steps = "100"] = Deno.args;
if (!url?.startsWith("resume+")) {
  throw new TypeError("Cannot play: the first argument is the URL of the game");
}
const count = Number(steps);

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);
const network = stack.use(await watchNetwork());
const options = { framing: lines(), network, session: { greeting: name } };
const pipe = stack.use(await connect(url as `resume+${string}`, options));
pipe.on("suspended", () => console.log("The connection is lost; the game goes on"));
pipe.on("resumed", ({ after }) => console.log(`Back after ${Math.round(after)} ms`));
pipe.on("migrated", () => console.log("Moved to another connection"));

// Who leaves walks no further.
walk().catch(() => {});
let last: number | undefined;
let own = 0;
for await (const data of pipe.messages) {
  const { tick, name: who, x, y } = JSON.parse(new TextDecoder().decode(data));
  if (last !== undefined && tick !== last + 1) console.log(`Missed the steps between ${last} and ${tick}`);
  last = tick;
  if (who !== name) continue;
  own++;
  console.log(`Step ${own}: at ${x}, ${y}`);
  if (own === count) break;
}
console.log(`Done: ${own} steps, ${pipe.session.resumes} times back`);

/** Takes its steps. */
async function walk(): Promise<void> {
  const ways = ["right", "down", "left", "up"];
  for (let n = 0; n < count; n++) {
    await pipe.send(ways[Math.floor(n / 5) % 4] ?? "");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
