/**
 * A game that keeps its players: `examples/session_game_server.ts [HOST:PORT]`. The clients are `examples/session_game_client.ts`.
 *
 * Each player walks on a field of 20 by 20; all are told of each step. A player whose connection is lost keeps his place for a
 * minute, and misses no step: he is told of all of them when he is back.
 */

// run: deno run --allow-net examples/session_game_server.ts

import { lines } from "@holdfast/net/pipes";
import { serveSessions, type SessionPipe } from "@holdfast/net/pipes/resume";
import { onShutdown } from "@holdfast/net/recover";

const SIZE = 20;
const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  left: [-1, 0],
  right: [1, 0],
  up: [0, -1],
  down: [0, 1],
};

interface Player {
  readonly name: string;
  readonly pipe: SessionPipe;
  x: number;
  y: number;
}

const players = new Set<Player>();
let tick = 0;

await using stack = new AsyncDisposableStack();
using _ = onShutdown(stack);
const options = { framing: lines({ max: 100 }), session: { expiry: 60_000 } };
const server = stack.use(await serveSessions(`resume+tcp://${Deno.args[0] ?? "127.0.0.1:0"}`, options));
stack.defer(() => players.forEach(({ pipe }) => pipe.abort()));
console.log(`The game is at ${server.url}`);
for await (const pipe of server) join(pipe);

/** Lets somebody play until he leaves, or does not come back. */
function join(pipe: SessionPipe): void {
  const player = { name: new TextDecoder().decode(pipe.session.greeting), pipe, x: 0, y: 0 };
  players.add(player);
  console.log(`${player.name} plays`);
  pipe.on("suspended", () => console.log(`${player.name} is away, and keeps the place`));
  pipe.on("resumed", () => console.log(`${player.name} is back`));
  pipe.on("end", () => players.delete(player) && console.log(`${player.name} has left`));
  pipe.on("error", ({ fatal }) => fatal && players.delete(player) && console.log(`${player.name} is lost`));
  pipe.on("message", async ({ data }) => {
    const [dx, dy] = STEPS[new TextDecoder().decode(data)] ?? [0, 0];
    player.x = Math.min(SIZE - 1, Math.max(0, player.x + dx));
    player.y = Math.min(SIZE - 1, Math.max(0, player.y + dy));
    const news = JSON.stringify({ tick: ++tick, name: player.name, x: player.x, y: player.y });
    await Promise.all([...players].map(({ pipe }) => pipe.send(news).catch(() => {})));
  });
}
