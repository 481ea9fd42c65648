/** What cuts cost with a session, and with Socket.IO and its connection state recovery: messages lost or doubled, and time. */

import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { connect } from "../pipes/connect.ts";
import { lines } from "../pipes/framing.ts";
import type { PipeMessageEvent } from "../pipes/pipe.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import { startChaosLink } from "../testing/chaos_link.ts";
import { type Figure, figure, percentile } from "./_figure.ts";

/** How often each end says something, in milliseconds. */
const PACE = 2;

/** How long the way is, in milliseconds: what was said in that time is on its way when the connection is cut. */
const LATENCY = 10;

/** How long after everybody is back the next cut comes, in milliseconds. */
const CALM = 200;

/** How long what was said last may take to arrive, in milliseconds. */
const PATIENCE = 5000;

/** One end, as the bench sees it. */
interface End {
  /** Says a number; nobody waits for it. */
  readonly say: (n: number) => void;
  /** Called with each number that arrives. */
  hear: (n: number) => void;
}

/** Both ends of something that outlives its connections, through a link that is cut. */
interface Peers extends AsyncDisposable {
  readonly ends: readonly [client: End, server: End];
}

type Variant = (through: (port: number) => Promise<number>) => Promise<Peers>;

const ours: Variant = async (through) => {
  const options = { framing: lines() };
  const server = await serveSessions("resume+tcp://127.0.0.1:0", options);
  const port = await through(Number(server.url.split(":").pop()));
  const pipe = await connect(`resume+tcp://127.0.0.1:${port}`, options);
  const { value: other } = await server[Symbol.asyncIterator]().next();
  if (!other) throw new Error("Cannot measure: nobody came");
  const ends = [pipe, other].map((pipe) => {
    const end: End = { say: (n) => void pipe.send(String(n)).catch(() => {}), hear() {} };
    pipe.on("message", ({ data }: PipeMessageEvent) => end.hear(Number(new TextDecoder().decode(data))));
    return end;
  });
  return {
    ends: ends as unknown as Peers["ends"],
    async [Symbol.asyncDispose]() {
      pipe.abort();
      other.abort();
      await server.close();
    },
  };
};

/** Socket.IO over WebSocket, with what its documentation recommends for recovery. */
const socketIo =
  (reconnection: { readonly reconnectionDelay?: number; readonly reconnectionDelayMax?: number }): Variant =>
  async (through) => {
    const http = createServer();
    const server = new Server(http, {
      transports: ["websocket"],
      connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const address = http.address();
    const port = await through(typeof address === "object" ? address?.port ?? 0 : 0);
    const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], ...reconnection });
    const there: End = { say: (n) => void server.emit("n", n), hear() {} };
    const here: End = { say: (n) => void socket.emit("n", n), hear() {} };
    socket.on("n", (n: number) => here.hear(n));
    const connected = Promise.withResolvers<void>();
    // A socket that was recovered has lost its handlers.
    server.on("connection", (socket) => {
      socket.on("n", (n: number) => there.hear(n));
      connected.resolve();
    });
    await connected.promise;
    return {
      ends: [here, there],
      async [Symbol.asyncDispose]() {
        socket.close();
        await server.close();
      },
    };
  };

const VARIANTS: Readonly<Record<string, Variant>> = {
  "a session": ours,
  "Socket.IO": socketIo({}),
  "Socket.IO, reconnecting at once": socketIo({ reconnectionDelay: 1, reconnectionDelayMax: 100 }),
};

interface Outcome {
  readonly said: number;
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
  /** From each cut to the moment when something said after it has arrived in both directions, in milliseconds. */
  readonly recovered: readonly number[];
}

async function run(variant: Variant, cuts: number): Promise<Outcome> {
  const { promise: target, resolve: listening } = Promise.withResolvers<
    Awaited<ReturnType<typeof startChaosLink>>
  >();
  await using peers = await variant(async (port) => {
    const link = await startChaosLink({ target: `127.0.0.1:${port}`, faults: { latency: LATENCY } });
    listening(link);
    return link.port;
  });
  await using link = await target;
  const heard: number[][] = [[], []];
  let said = 0;
  let look = (): void => {};
  peers.ends.forEach((end, n) => {
    end.hear = (number) => {
      heard[n]?.push(number);
      look();
    };
  });
  /** Waits until everybody has heard of a number that was said after now. */
  const fresh = async (): Promise<void> => {
    const since = said;
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, 4 * PATIENCE);
    look = () => heard.every((numbers) => (numbers.at(-1) ?? -1) >= since) && resolve();
    await promise;
    clearTimeout(late);
    look = () => {};
  };
  const timer = setInterval(() => {
    for (const end of peers.ends) end.say(said);
    said++;
  }, PACE);
  const recovered: number[] = [];
  for (let n = 0; n < cuts; n++) {
    await fresh();
    await new Promise((resolve) => setTimeout(resolve, CALM));
    const began = performance.now();
    link.cut(n % 2 === 0 ? "reset" : "end");
    await fresh();
    recovered.push(performance.now() - began);
  }
  clearInterval(timer);
  const complete = Promise.withResolvers<void>();
  const late = setTimeout(complete.resolve, PATIENCE);
  look = () => heard.every((numbers) => numbers.at(-1) === said - 1) && complete.resolve();
  look();
  await complete.promise;
  clearTimeout(late);
  const lost = heard.reduce((sum, numbers) => sum + said - new Set(numbers).size, 0);
  const doubled = heard.reduce((sum, numbers) => sum + numbers.length - new Set(numbers).size, 0);
  const disordered = heard.reduce(
    (sum, numbers) => sum + numbers.filter((number, n) => number < (numbers[n - 1] ?? 0)).length,
    0,
  );
  return { said: 2 * said, lost, doubled, disordered, recovered };
}

/**
 * Cuts each of them as often.
 *
 * @param cuts How often.
 */
export async function sessionPeers(cuts: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, variant] of Object.entries(VARIANTS)) {
    const { said, lost, doubled, disordered, recovered } = await run(variant, cuts);
    const target = variant === ours ? 0 : null;
    const note = `of ${said}, over ${cuts} cuts by reset and end, ${LATENCY} ms away`;
    figures.push(
      figure(`${name}: lost`, lost, "messages", target, cuts, note),
      figure(`${name}: doubled`, doubled, "messages", target, cuts),
      figure(`${name}: out of order`, disordered, "messages", target, cuts),
      figure(`${name}: going on after a cut, p50`, percentile(recovered, 0.5), "ms", null, cuts),
      figure(`${name}: going on after a cut, worst`, Math.max(...recovered), "ms", null, cuts),
    );
  }
  return figures;
}
