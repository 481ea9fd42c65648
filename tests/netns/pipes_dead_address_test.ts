/** An address where nobody is, and nobody says so, in front of one that answers. */

import { assert, assertEquals } from "@std/assert";
import { connect, type ConnectOptions } from "../../pipes/connect.ts";
import type { HostAddress } from "../../pipes/address.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import { FakeClock } from "../../testing/fake_clock.ts";
import { eventually } from "../_child.ts";
import { scale } from "../_require.ts";
import { provoke, socketsTo, within } from "./_provoke.ts";
import { ADDRESS, type TwoHosts } from "./_two_hosts.ts";

const { v4 } = ADDRESS.server;
const DEAD = ["10.9.1.77", "10.9.1.78"] as const;

/** What may be lost by it, in milliseconds. */
const TARGET = 300;

const WAYS: Readonly<Record<string, ConnectOptions>> = {
  "by the runtime": {},
  "from an address": { via: { address: ADDRESS.client.v4 } },
};

/** The neighbours that the client is sent to have hardware addresses that nobody has: no error comes of it. */
async function bury(lab: TwoHosts): Promise<void> {
  for (const [at, address] of DEAD.entries()) {
    await lab.ip("client", `neighbour replace ${address} lladdr 02:00:00:00:00:7${at} dev vc nud permanent`);
  }
}

const resolver: NonNullable<ConnectOptions["resolver"]> = (_, type) =>
  Promise.resolve(type === "A" ? [DEAD[0], v4, DEAD[1]] : []);

for (const [way, options] of Object.entries(WAYS)) {
  provoke(
    `a dead first address of three costs no more than ${TARGET} ms, ${way}`,
    async ({ lab, far }) => {
      await bury(lab);
      // The system gives up after two minutes; until then only time can make it go on to the next one.
      await lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_syn_retries=6");
      const clock = new FakeClock();
      const url = `tcp://many.test:${far.port}`;
      const began = clock.monotonic();
      const connecting = connect(url, { ...options, resolver, clock, memory: dialMemory() });
      await eventually(
        "the dead address to be tried",
        async () => (await socketsTo(lab, far.port)).join() === "SYN-SENT",
      );
      clock.tick(200);
      assertEquals(await socketsTo(lab, far.port), ["SYN-SENT"]);
      clock.tick(TARGET - 200);
      // No more time passes for it.
      await using pipe = await within("the connection", connecting);
      assertEquals((pipe.remoteAddress as HostAddress).hostname, v4);
      assertEquals(clock.monotonic() - began, TARGET);
      // The other attempt is given up, and the address behind was never tried.
      await eventually(
        "the attempt to be given up",
        async () => (await socketsTo(lab, far.port)).join() === "ESTAB",
      );

      const took: number[] = [];
      for (let n = 0; n < scale(3, 30); n++) {
        const began = performance.now();
        // What worked before would be tried first.
        await using _pipe = await connect(url, { ...options, resolver, memory: dialMemory() });
        took.push(Math.round(performance.now() - began));
      }
      console.log(`a dead first address of three, ${way}: connected within ${took.join(", ")} ms`);
      assert(took.every((one) => one >= 200), `${took} ms: there was none`);
    },
  );
}
