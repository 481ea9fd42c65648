/** How long an address that does not answer keeps from the next one, in time that only this test lets pass. */

import { assertEquals } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { makeCertificates } from "../tests/_certificates.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { listen } from "./listen.ts";
import { webSocket } from "./ws.ts";

/** When the next address is tried while one is silent (RFC 8305 section 5), in milliseconds. */
const DELAY = 250;

const { ca, valid: { cert, key } } = await makeCertificates();
const transports = [webSocket()];

for (const scheme of ["tls", "ws", "wss"] as const) {
  for (const silent of [1, 2]) {
    Deno.test(`${scheme}: ${silent} silent of three addresses cost ${silent * DELAY} ms, not one more`, async () => {
      const clock = new FakeClock();
      const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
      await using first = await startFaultServer({ fault: { type: "silent" }, hostname: "127.0.0.2" });
      const { port } = first;
      const options = { tls: { cert, key }, transports };
      await using second = silent === 1
        ? await listen(`${scheme}://127.0.0.3:${port}`, options)
        : await startFaultServer({ fault: { type: "silent" }, hostname: "127.0.0.3", port });
      await using third = await listen(`${scheme}://127.0.0.4:${port}`, options);
      const resolver: NonNullable<ConnectOptions["resolver"]> = (_, type) =>
        Promise.resolve(type === "A" ? addresses : []);
      const began = clock.monotonic();
      const connecting = connect(`${scheme}://localhost:${port}`, {
        ...{ resolver, clock, transports },
        tls: { caCerts: [ca] },
      });
      await first.connected(1);
      clock.tick(DELAY - 1);
      assertEquals(second.connections, 0);
      clock.tick(1);
      if ("connected" in second) {
        await second.connected(1);
        clock.tick(DELAY - 1);
        assertEquals(third.connections, 0);
        clock.tick(1);
      }
      await using pipe = await connecting;
      assertEquals(pipe.remoteAddress, { transport: scheme, hostname: addresses[silent] ?? "", port });
      assertEquals(clock.monotonic() - began, silent * DELAY);
      // Nobody needed the one behind, and nobody waits any longer.
      if (silent === 1) assertEquals(third.connections, 0);
      assertEquals(clock.pending, 0);
    });
  }
}
