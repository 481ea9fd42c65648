import { assert, assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../internal/log.ts";
import { acquireHub, openedHub } from "./_hubs.ts";
import type { HubOptions } from "./_hub_types.ts";
import type { Reading } from "./_reading.ts";
import { equalStates } from "./diff.ts";
import { probeBackends, snapshot } from "./snapshot.ts";
import { watchNetwork } from "./watch.ts";

Deno.test("snapshot() reads the network once and leaves nothing open", async () => {
  const state = await snapshot({ backend: "poll" });
  assert(state.interfaces.length > 0);
  assertEquals(state.online, state.families.length > 0);
  assertEquals(state.external, null);
  assert(Math.abs(state.at - Date.now()) < 60_000);
});

Deno.test("snapshot() sees what a watcher sees, and leaves the watcher's source open", async () => {
  await using watcher = await watchNetwork({ backend: "poll" });
  const state = await snapshot({ backend: "poll" });
  assert(equalStates(state, await watcher.refresh()));
  const { at } = watcher.state;
  assert((await watcher.refresh()).at >= at);
});

/** What keeps the key of a real hub, with a source of the test's own behind it. */
function madeUp(read: () => Reading | Promise<Reading>): HubOptions {
  const source = {
    backend: "poll",
    reader: "interfaces",
    read,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as const;
  const rung = { backend: "poll", needs: [], open: () => source, reader: () => Promise.reject() } as const;
  return { backend: "poll", pollInterval: 2000, rungs: [rung], logger: silentLogger };
}

const nothing: Reading = {
  at: 42,
  interfaces: [],
  defaultRoute: { v4: null, v6: null },
  gatewayMac: { v4: null, v6: null },
  dns: null,
  blind: ["dns"],
};

Deno.test("snapshot() uses the source of an open hub, with a reading of its own", async () => {
  let reads = 0;
  const hub = await acquireHub(madeUp(() => ({ ...nothing, at: reads++ })));
  assertEquals((await snapshot({ backend: "poll" })).at, 1);
  assertEquals(hub.reading.at, 0, "nobody is told of it");
  await hub.release();
  assertEquals(hub.retain(), false, "the snapshot has given its hold back");
});

Deno.test("snapshot() opens something of its own when the hub is closed before it could take it", async () => {
  const options = madeUp(() => nothing);
  const opening = acquireHub(options);
  // Right after the hold was taken, and before the snapshot comes to it.
  const closed = openedHub(options)?.then((hub) => hub.release());
  const state = await snapshot({ backend: "poll" });
  await Promise.all([opening, closed]);
  assert(state.interfaces.length > 0, "the made-up source has none");
});

Deno.test("a reading that fails behind an open hub fails the snapshot, and gives the hold back", async () => {
  let broken = false;
  const hub = await acquireHub(madeUp(() => {
    if (broken) throw new RangeError("made up");
    return nothing;
  }));
  broken = true;
  await assertRejects(() => snapshot({ backend: "poll" }), RangeError, "made up");
  await hub.release();
  assertEquals(hub.retain(), false);
});

Deno.test("snapshot() rejects with the signal's reason, before and during the reading", async () => {
  const reason = new Error("enough");
  assertEquals(await assertRejects(() => snapshot({ signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const own = snapshot({ backend: "poll", signal: controller.signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => own), reason);
  const hub = await acquireHub(madeUp(() => nothing));
  const second = new AbortController();
  const shared = snapshot({ backend: "poll", signal: second.signal });
  second.abort(reason);
  assertEquals(await assertRejects(() => shared), reason);
  await hub.release();
});

Deno.test("probeBackends() tries every backend of the system, and says of each what it needs", async () => {
  const found = await probeBackends();
  assertEquals(found.at(-1)?.backend, "poll");
  for (const { backend, usable, needs, reason } of found) {
    assert(needs.length > 0 && needs.every((flag) => flag.startsWith("--allow-")), backend);
    assertEquals(usable, reason === undefined);
  }
  assert(found.some(({ usable }) => usable));
});
