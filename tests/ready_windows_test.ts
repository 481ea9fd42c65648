/** The readiness gate on Windows, by tables made up: an address that is being checked, a gateway that does not answer. */

import { assertEquals } from "@std/assert";
import { ready } from "../recover/ready.ts";
import { DAD, foundingFailure, NEIGHBOUR, watchWindows } from "./_windows_gate.ts";

Deno.test("on Windows the gate waits for the address to be preferred, then for the gateway to be reachable", async () => {
  const { before, after, neighbour, report } = await foundingFailure();
  assertEquals(before, [false, []], "a tentative address is not usable");
  assertEquals(after, [true, ["192.168.1.1"]], "the gateway is called");
  assertEquals(neighbour, "unresolved");
  const steps = report.steps.map(({ name, outcome, detail }) => [name, outcome, detail]);
  assertEquals(steps, [
    ["online", "ok", "online by IPv4"],
    ["gateway", "ok", "192.168.1.1 is there"],
    ["resolver", "skipped", "the resolver is out of sight"],
  ]);
  assertEquals([report.ready, report.gated, report.steps[0]?.took], [true, "passed", 1000]);
});

Deno.test("on Windows an address that somebody else has never opens the gate, which ends by its limit", async () => {
  await using stage = await watchWindows({ dad: DAD.duplicate, neighbour: NEIGHBOUR.reachable });
  const reported = ready(stage.watcher, { clock: stage.clock });
  await stage.clock.tickAsync(3000);
  const report = await reported;
  assertEquals([report.ready, report.gated, report.took], [false, "limit", 3000]);
  assertEquals(report.steps[0]?.detail, "not online: no usable address, or no carrier, on Ethernet");
});
