// runs alone
/** A reader that never reads, whatever carries the pipe, and behind a relay: the sender is held back, and memory stays flat. */

import { assert, assertEquals } from "@std/assert";
import { makeTestAuthority } from "../testing/certificates.ts";
import { runCode } from "./_code.ts";
import { scale } from "./_require.ts";

/** What one attempt is to send, in bytes; a datagram carries no more. */
const SIZE = 32 * 1024;

/** How many times somebody tries to send. */
const ATTEMPTS = scale(6000, 120_000);

/** How many times memory is looked at meanwhile. */
const SAMPLES = 40;

const MEBIBYTE = 1024 * 1024;

/** What the child tells. */
interface Told {
  /** Memory in bytes after each part of the attempts: what JavaScript holds, buffers outside included; and all of it. */
  readonly heap: readonly number[];
  readonly rss: readonly number[];
  /** How many attempts were taken, and how many of those in the last half. */
  readonly taken: number;
  readonly late: number;
  /** What has been received and dropped at the end that nobody reads, in messages. */
  readonly received: number;
  readonly dropped: number;
}

const CHILD = `
import { setImmediate } from "node:timers";
import { connect } from "#/pipes/connect.ts";
import { listen } from "#/pipes/listen.ts";
import { relay } from "#/pipes/relay.ts";
import { webSocket } from "#/pipes/ws.ts";

const { place, relayed, size, attempts, samples, tls } = JSON.parse(Deno.env.get("CHILD"));
const transports = [webSocket()];
const caCerts = [tls.ca];

async function pair(number) {
  const server = await listen(place.replace("NUMBER", number), { tls, transports });
  const near = await connect(server.url, { tls: { caCerts }, transports });
  // A server over UDP knows of nobody before the first datagram.
  if (near.transport === "udp") await near.send("here");
  for await (const far of server) {
    if (near.transport === "udp") await far.recv();
    return [near, far];
  }
}

const [sender, accepted] = await pair(1);
let reader = accepted;
if (relayed) {
  const [near, far] = await pair(2);
  relay(accepted, near);
  reader = far;
}
const chunk = new Uint8Array(size);
const told = { heap: [], rss: [], taken: 0, late: 0 };
for (let n = 0; n < attempts; n++) {
  const stop = new AbortController();
  sender.send(chunk, { signal: stop.signal }).then(() => {
    told.taken++;
    if (n >= attempts / 2) told.late++;
  }, () => {});
  // A turn of the event loop is time enough for one that is taken; the others are given up.
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  if ((n + 1) % (attempts / samples) < 1) {
    gc();
    const { rss, heapUsed, external } = Deno.memoryUsage();
    told.rss.push(rss);
    told.heap.push(heapUsed + external);
  }
}
const { messagesReceived: received, dropped } = reader.stats;
console.log(JSON.stringify({ ...told, received, dropped }));
Deno.exit();
`;

const authority = await makeTestAuthority();

async function run(place: string, relayed: boolean): Promise<Told> {
  const { cert, key } = await authority.issue();
  const tls = { cert, key, ca: authority.cert };
  const child = { place, relayed, size: SIZE, attempts: ATTEMPTS, samples: SAMPLES, tls };
  const { code, stdout, stderr } = await runCode(CHILD, {
    flags: ["-A", "--v8-flags=--expose-gc"],
    env: { CHILD: JSON.stringify(child) },
    bound: 600_000,
  });
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

/**
 * How much it grows from one attempt to the next over the last half, in bytes: the median of the slopes between all pairs of
 * samples, which a single one taken in between two collections does not move.
 */
function slope(samples: readonly number[]): number {
  const half = samples.slice(samples.length / 2);
  const slopes = half.flatMap((from, at) =>
    half.slice(at + 1).map((to, after) => (to - from) / (after + 1) / (ATTEMPTS / SAMPLES))
  );
  return slopes.sort((a, b) => a - b)[Math.floor(slopes.length / 2)] ?? NaN;
}

for (const transport of ["tcp", "tls", "unix", "ws", "memory", "udp"] as const) {
  for (const relayed of [false, true]) {
    const what = `${transport}${relayed ? ", behind a relay" : ""}`;
    Deno.test(`a reader that never reads costs no memory, over ${what}`, async () => {
      const folder = await Deno.makeTempDir({ prefix: "holdfast-memory-" });
      const place = {
        unix: `unix:${folder}/NUMBER.sock`,
        memory: "memory:NUMBER",
      }[transport as string] ?? `${transport}://127.0.0.1:0`;
      const { heap, rss, taken, late, received, dropped } = await run(place, relayed);
      await Deno.remove(folder, { recursive: true });
      const [held, all] = [slope(heap), slope(rss)];
      const mebibytes = Math.round((rss.at(-1) ?? NaN) / MEBIBYTE);
      console.log(
        `${what}: ${held.toFixed(1)} bytes of heap and ${
          all.toFixed(1)
        } of all for each of ${ATTEMPTS} messages of ` +
          `${SIZE}; ${mebibytes} MiB, ${taken} taken, ${received} received, ${dropped} dropped`,
      );
      assert(heap.length >= SAMPLES - 1, `${heap.length} samples`);
      // One that was kept would be all of its size; one that leaves a trace, some hundred bytes.
      assert(held < SIZE / 64, `${held} bytes of heap for each message`);
      // The allocator takes its time until it has what it needs, above all with datagrams.
      assert(all * ATTEMPTS / 2 < 24 * MEBIBYTE, `${all} bytes for each message`);
      assert(mebibytes < 300, `${mebibytes} MiB`);
      if (transport === "udp") {
        // Nobody can be held back. What came first is there, and what finds no room is counted.
        assertEquals(taken, ATTEMPTS);
        assert(dropped > 0, `${received} received, none dropped`);
      } else {
        assertEquals(late, 0, "somebody has taken what nobody reads");
        assert(taken < ATTEMPTS / 2, `${taken} of ${ATTEMPTS} taken`);
      }
    });
  }
}
