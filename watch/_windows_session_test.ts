import { assert, assertEquals } from "@std/assert";
import { recordedSession } from "../tests/_windows_tables.ts";
import { applyEvents, diffStates } from "./diff.ts";
import { parseWindows } from "./_read_windows.ts";
import { toState } from "./_reading.ts";
import { toReading } from "./_windows_reading.ts";
import type { NetworkState } from "./state.ts";

/** The states of the recorded session, by scene. */
function states(): ReadonlyMap<string, NetworkState> {
  return new Map(
    recordedSession().map(({ scene, tables }, i) => [
      scene,
      toState(toReading(parseWindows(tables), 1000 * i)),
    ]),
  );
}

Deno.test("a recorded session gives the states that the network went through", () => {
  const told = [...states()].map(([scene, { families, interfaces, defaultRoute: { v4 } }]) => [
    scene,
    families,
    v4 && `${v4.gateway} ${v4.interface}`,
    interfaces.flatMap(({ name, running, addresses }) =>
      name === "eth0" || name === "eth1"
        ? [
          `${name} ${running} ${
            addresses.filter(({ scope }) => scope === "global").map((a) => a.address).join()
          }`,
        ]
        : []
    ).join("; "),
  ]);
  const home = "eth0 true 192.168.1.23,2001:db8:1::23";
  assertEquals<unknown>(told, [
    ["empty", [], null, ""],
    ["home", [4], "192.168.1.1 eth0", home],
    ["gateway", [4], "192.168.1.2 eth0", home],
    ["second", [4], "10.0.0.1 eth1", `${home}; eth1 true 10.0.0.5`],
    ["off", [4], "192.168.1.2 eth0", `${home}; eth1 false `],
    // Wine has no IPv6 routes.
    ["offline", [], null, "eth0 true 2001:db8:1::23; eth1 false "],
  ]);
});

Deno.test("the differences between recorded states are the events of what was done, and lead from one to the next", () => {
  const session = [...states()];
  const told = session.slice(1).map(([scene, after], i) => {
    const before = session[i]?.[1];
    assert(before);
    const events = diffStates(before, after);
    assertEquals(applyEvents(before, events), after);
    return [scene, events.map(({ type }) => type).join(" ")];
  });
  assertEquals<unknown>(told, [
    [
      "home",
      "interfaceadd interfaceadd addressadd addressadd addressadd addressadd " +
      "gatewaychange defaultinterfacechange online",
    ],
    ["gateway", "gatewaychange"],
    [
      "second",
      "interfaceadd interfaceadd addressadd addressadd addressadd gatewaychange defaultinterfacechange",
    ],
    ["off", "interfacechange addressremove addressremove gatewaychange defaultinterfacechange"],
    ["offline", "addressremove gatewaychange defaultinterfacechange offline"],
  ]);
});
