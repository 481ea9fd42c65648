/** How many connections a server takes before anybody asks for them, and how many of them shake hands at once. */

import { assertEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { hostLinks } from "../tests/_host_links.ts";
import { first } from "../tests/_pipe_contract.ts";
import type { Link } from "./_link.ts";
import { listen } from "./listen.ts";
import type { PipeServer } from "./server.ts";
import type { PipeTransport } from "./_transport.ts";

/** The limits (`_pipe_listener.ts`). */
const [AHEAD, HANDSHAKES] = [16, 128];

/** More clients than there is room for. */
const CLIENTS = 500;

interface Crowd extends AsyncDisposable {
  readonly server: PipeServer;
  readonly clock: FakeClock;
  /** How many were accepted. */
  readonly accepted: () => number;
  /** What each that was accepted waits for. */
  readonly handshakes: readonly PromiseWithResolvers<void>[];
}

/** A server that many clients are waiting for; each says nothing until a test lets it. */
async function crowd(): Promise<Crowd> {
  const clock = new FakeClock();
  const handshakes: PromiseWithResolvers<void>[] = [];
  const others: Link[] = [];
  const over = Promise.withResolvers<null>();
  const transport: PipeTransport = {
    schemes: ["tcp"],
    dial: () => () => Promise.reject(new TypeError("Cannot connect: it only listens")),
    listen: () =>
      Promise.resolve({
        addresses: [{ transport: "tcp", hostname: "127.0.0.1", port: 1 }],
        accept() {
          if (handshakes.length === CLIENTS) return over.promise;
          const [mine, theirs] = hostLinks({ local: "127.0.0.1", remote: "127.0.0.1" });
          others.push(mine);
          const handshake = Promise.withResolvers<void>();
          handshakes.push(handshake);
          return Promise.resolve(Object.assign(theirs, { ready: () => handshake.promise }));
        },
        close: () => Promise.resolve(over.resolve(null)),
      }),
  };
  const server = await listen("tcp://127.0.0.1:1", { transports: [transport], clock });
  return {
    ...{ server, clock, handshakes, accepted: () => handshakes.length },
    async [Symbol.asyncDispose]() {
      await server.close();
      for (const other of others) other.abort();
    },
  };
}

/** How many were accepted, once nothing happens any more: all of it is done in promises. */
async function settled({ accepted }: Crowd): Promise<number> {
  let last = -1;
  while (last !== accepted()) {
    last = accepted();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return last;
}

Deno.test("before anybody asks a few are accepted, whether they shake hands or are done with it", async () => {
  await using all = await crowd();
  assertEquals(await settled(all), AHEAD);
  for (const { resolve } of all.handshakes) resolve();
  assertEquals(await settled(all), AHEAD);
});

Deno.test("while somebody waits many shake hands at once, and those that are silent make room in time", async () => {
  await using all = await crowd();
  const waiting = first(all.server);
  assertEquals(await settled(all), HANDSHAKES);
  const refused: string[] = [];
  all.server.on("refused", ({ type }) => refused.push(type));
  all.clock.tick(10_000);
  assertEquals([await settled(all), refused.length], [2 * HANDSHAKES, HANDSHAKES]);
  // One of those behind has something to say.
  all.handshakes.at(-1)?.resolve();
  await using pipe = await waiting;
  assertEquals(pipe.state.type, "open");
});

Deno.test("one that is handed out makes room for one that waits in line", async () => {
  await using all = await crowd();
  assertEquals(await settled(all), AHEAD);
  for (const { resolve } of all.handshakes) resolve();
  await using _pipe = await first(all.server);
  assertEquals(await settled(all), AHEAD + 1);
});
