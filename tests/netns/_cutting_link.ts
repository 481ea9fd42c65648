/**
 * Run on a host of the laboratory: passes connections on, and cuts each after a number of bytes that chance decides, by a reset or
 * by an end, until it has cut often enough. Its arguments are where it listens, where it leads, how often to cut, the
 * typical number of bytes between two cuts, and where chance begins; what it answers to each line is a {@linkcode CutState}.
 */

import { connect, createServer, type Socket } from "node:net";
import { randomness } from "./_flood.ts";

/** One cut. */
export interface Cut {
  readonly how: "reset" | "end";
  /** Whether it was the first connection of a session; the bytes of its handshake are others. */
  readonly first: boolean;
  /** How many bytes had passed from the client, and to it. */
  readonly up: number;
  readonly down: number;
}

/** What has happened there. */
export interface CutState {
  readonly port: number;
  readonly connections: number;
  readonly cuts: readonly Cut[];
}

/**
 * The parts of an open handshake that resumes a session, and where they begin and end in its direction (docs/PROTOCOLS.md):
 * preface, RESUME, CONFIRM; preface, RESUMED, the first ACK. Every other connection is cut within one of them.
 */
const PARTS: readonly (readonly ["up" | "down", number, number])[] = [
  ["up", 0, 12],
  ["up", 12, 108],
  ["down", 0, 12],
  ["down", 12, 88],
  ["up", 108, 152],
  ["down", 88, 100],
];

function main(
  [hostname = "", port, target = "", targetPort, often, apart, first, seed]: readonly string[],
): void {
  const random = randomness(Number(seed));
  const cuts: Cut[] = [];
  let planned = 0;
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const isFirst = connections++ < Number(first);
    const there = connect({ host: target, port: Number(targetPort), allowHalfOpen: true });
    const how = random() < 0.5 ? "reset" : "end";
    const early = !isFirst && connections % 2 === 0 ? PARTS[connections / 2 % PARTS.length] : undefined;
    const [lane, begin, end] = early ?? [random() < 0.5 ? "up" : "down", 1000, 2 * Number(apart)];
    const after = begin + Math.floor(random() * (end - begin));
    const passed = { up: 0, down: 0 };
    const cutting = planned < Number(often);
    if (cutting) planned++;
    const cut = (): void => {
      if (how === "reset") { for (const end of [client, there]) reset(end); }
      else for (const end of [client, there]) end.end(() => end.destroy());
      cuts.push({ how, first: isFirst, ...passed });
    };
    // A connection that has ended before its time gives its cut to another one.
    let open = cutting;
    const over = (): void => {
      if (open) planned--;
      open = false;
      client.destroy();
      there.destroy();
    };
    const pass = (from: Socket, to: Socket, name: "up" | "down"): void => {
      from.setNoDelay(true);
      from.on("error", over);
      from.on("close", over);
      from.on("end", () => to.end());
      from.on("data", (bytes) => {
        if (typeof bytes === "string" || cutting && !open) return;
        const room = open && name === lane ? after - passed[name] : Infinity;
        const part = bytes.subarray(0, Math.min(bytes.length, room));
        passed[name] += part.length;
        const taken = to.write(part);
        if (part.length === room) {
          open = false;
          return cut();
        }
        if (taken) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
    };
    pass(client, there, "up");
    pass(there, client, "down");
  });
  const state = (): void => {
    const address = server.address();
    const port = typeof address === "object" ? address?.port ?? 0 : 0;
    console.log(JSON.stringify({ port, connections, cuts } satisfies CutState));
  };
  server.listen(Number(port), hostname, async () => {
    state();
    for await (const _ of Deno.stdin.readable) state();
  });
}

function reset(socket: Socket): void {
  if (socket.connecting) socket.once("connect", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

if (import.meta.main) main(Deno.args);
