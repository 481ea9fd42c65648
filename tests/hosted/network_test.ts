// runs alone

/**
 * The backends of macOS and Windows against the real thing: on a machine that is thrown away afterwards, as root or
 * administrator, because its network is changed. `HOLDFAST_HOSTED=1` says that it may be.
 */

import { assert, assertEquals } from "@std/assert";
import {
  type BackendName,
  type NetworkState,
  type NetworkWatcher,
  snapshot,
  watchNetwork,
} from "../../watch/mod.ts";
import { requires } from "../_require.ts";

const WINDOWS = Deno.build.os === "windows";
const BACKENDS: readonly BackendName[] = WINDOWS
  ? ["iphlpapi", "powershell"]
  : ["routing-socket", "route-monitor"];

/** Of TEST-NET-1 (RFC 5737), on the loopback interface, where it disturbs nobody. */
const ALIAS = "192.0.2.77";
/** The address whose way is the default route to us; a route to it alone leaves everybody else's way as it is. */
const PROBE = "198.41.0.4";
/** How long the slowest backend may take to tell, in milliseconds. */
const LIMIT = 30_000;

function needs(): { ignore: boolean } {
  const { ignore } = requires({ os: ["darwin", "windows"] });
  if (ignore || Deno.env.get("HOLDFAST_HOSTED") === "1") return { ignore };
  console.log("skipped: changes the machine's network (HOLDFAST_HOSTED=1 permits it)");
  return { ignore: true };
}

/** Runs a program to its end, as root where that takes `sudo`; its failure is the test's. */
async function run(...command: string[]): Promise<void> {
  const [tool = "", ...args] = WINDOWS ? command : ["sudo", "-n", ...command];
  const { success, stdout, stderr } = await new Deno.Command(tool, { args }).output();
  const said = new TextDecoder().decode(Uint8Array.of(...stdout, ...stderr));
  assert(success, `${command.join(" ")}: ${said}`);
}

/** What is done to the machine, and undone. */
interface Change {
  readonly what: string;
  readonly done: (state: NetworkState) => boolean;
  do(): Promise<void>;
  undo(): Promise<void>;
}

const LOOPBACK = "Loopback Pseudo-Interface 1";

const ALIAS_CHANGE: Change = {
  what: "an address of the loopback interface",
  done: ({ interfaces }) =>
    interfaces.some(({ kind, addresses }) =>
      kind === "loopback" && addresses.some(({ address, tentative }) => address === ALIAS && !tentative)
    ),
  do: () =>
    WINDOWS
      ? run("netsh", "interface", "ipv4", "add", "address", LOOPBACK, ALIAS, "255.255.255.255")
      : run("ifconfig", "lo0", "alias", `${ALIAS}/32`),
  undo: () =>
    WINDOWS
      ? run("netsh", "interface", "ipv4", "delete", "address", LOOPBACK, ALIAS)
      : run("ifconfig", "lo0", "-alias", ALIAS),
};

const ROUTE_CHANGE: Change = {
  what: "the way to the public network",
  done: ({ interfaces, defaultRoute: { v4 } }) =>
    interfaces.some(({ kind, index }) => kind === "loopback" && index === v4?.index),
  do: () =>
    WINDOWS
      ? run("netsh", "interface", "ipv4", "add", "route", `${PROBE}/32`, LOOPBACK, "store=active")
      : run("route", "-n", "add", "-host", PROBE, "127.0.0.1"),
  undo: () =>
    WINDOWS
      ? run("netsh", "interface", "ipv4", "delete", "route", `${PROBE}/32`, LOOPBACK)
      : run("route", "-n", "delete", "-host", PROBE),
};

/** An adapter that nobody needs: one made for the test on macOS, that of the containers on Windows. */
const ADAPTER = WINDOWS ? "vEthernet (nat)" : "bridge77";

const ADAPTER_CHANGE: Change = {
  what: "an adapter that is switched on and off",
  done: ({ interfaces }) => interfaces.some(({ name, up }) => name === ADAPTER && up),
  do: () => WINDOWS ? adapter("Enable") : run("ifconfig", ADAPTER, "up"),
  undo: () => WINDOWS ? adapter("Disable") : run("ifconfig", ADAPTER, "down"),
};

function adapter(verb: "Enable" | "Disable"): Promise<void> {
  return run(
    "powershell.exe",
    "-NoProfile",
    "-Command",
    `${verb}-NetAdapter -Name '${ADAPTER}' -Confirm:$false`,
  );
}

/** Waits until the watcher itself tells of a state like that; nobody asks it. */
async function told(watcher: NetworkWatcher, wanted: (state: NetworkState) => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  using _handler = watcher.subscribe(() => {
    if (wanted(watcher.state)) resolve();
  });
  if (wanted(watcher.state)) return;
  const late = (): void => reject(new Error(`not told within ${LIMIT} ms: ${JSON.stringify(watcher.state)}`));
  const timer = setTimeout(late, LIMIT);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}

async function isThere(name: string): Promise<boolean> {
  return (await snapshot()).interfaces.some((iface) => iface.name === name);
}

for (const backend of BACKENDS) {
  Deno.test({
    name: `${backend}: ${ALIAS_CHANGE.what}, ${ROUTE_CHANGE.what}, ${ADAPTER_CHANGE.what}`,
    ...needs(),
    async fn(t) {
      if (!WINDOWS) await run("ifconfig", ADAPTER, "create");
      const changes = [ALIAS_CHANGE, ROUTE_CHANGE];
      if (await isThere(ADAPTER)) {
        changes.push(ADAPTER_CHANGE);
        await ADAPTER_CHANGE.undo();
      } else console.log(`no adapter "${ADAPTER}" to switch on and off`);
      try {
        await using watcher = await watchNetwork({ backend });
        assertEquals(watcher.backend, backend);
        for (const { what, done, do: change, undo } of changes) {
          await t.step(what, async () => {
            assertEquals(done(watcher.state), false, "as it was before");
            await change();
            try {
              await told(watcher, done);
            } finally {
              await undo();
            }
            await told(watcher, (state) => !done(state));
          });
        }
      } finally {
        if (!WINDOWS) await run("ifconfig", ADAPTER, "destroy");
        else if (changes.includes(ADAPTER_CHANGE)) await ADAPTER_CHANGE.do();
      }
    },
  });
}
