/** The unit tests, and the network as it changes, in the Windows build of Deno under Wine. */

import { assert, assertEquals } from "@std/assert";
import { findNamespaces } from "../../dev/_namespace.ts";
import { requires } from "../_require.ts";
import { windowsPath } from "./_launch.ts";
import { ALONE, ownWine, windowsUrl, wine, WINE_TOOLS } from "./_wine.ts";

const ROOT = new URL("../../", import.meta.url);

/** Where the tests lie. */
const TESTED = [
  "internal/",
  "watch/",
  "cli/",
  "testing/fake_clock_test.ts",
  "testing/fake_network_test.ts",
];

/** Wine 8 does not give all that waits at a UDP socket, and binds it to addresses that are not there. */
const NOT_UNDER_WINE = ["watch/external_test.ts"];

/** Where the tests find what they import; those of random values are left out, as their library is in a registry. */
const IMPORTS = {
  "@std/assert": "dev/std/assert/mod.ts",
  "@std/async": "dev/std/async/mod.ts",
  "@std/cli/parse-args": "dev/std/cli/parse_args.ts",
  "@std/log": "dev/std/log/mod.ts",
  "@std/testing/time": "dev/std/testing/time.ts",
  "@holdfast/net/cli": "cli/main.ts",
  "@holdfast/net/testing": "testing/mod.ts",
  "@holdfast/net/watch": "watch/mod.ts",
};

/** The tests beside the code that can run there. */
async function unitTests(): Promise<readonly URL[]> {
  const paths = await Array.fromAsync(TESTED, async (path) => {
    if (!path.endsWith("/")) return [path];
    return (await Array.fromAsync(Deno.readDir(new URL(path, ROOT)))).map(({ name }) => `${path}${name}`);
  });
  return paths.flat()
    .filter((path) => path.endsWith("_test.ts") && !NOT_UNDER_WINE.includes(path))
    .map((path) => new URL(path, ROOT))
    .filter((url) => !Deno.readTextFileSync(url).includes('"fast-check"'));
}

Deno.test({
  name: "the unit tests pass in the Windows build",
  ...requires({ os: ["linux"], tools: WINE_TOOLS }),
  async fn() {
    const { deno } = await wine();
    const imports = Object.fromEntries(
      Object.entries(IMPORTS).map(([name, path]) => [name, windowsUrl(new URL(path, ROOT))]),
    );
    const map = await Deno.makeTempFile({ suffix: ".json" });
    try {
      await Deno.writeTextFile(map, JSON.stringify({ imports }));
      const files = await unitTests();
      const flags = ["--quiet", "--no-check", ...ALONE, "-A", `--import-map=${windowsPath(map)}`];
      const { code, stdout, stderr } = await deno(["test", ...flags, ...files.map(windowsUrl)]);
      const [, passed = 0, failed] = /(\d+) passed(?: \(\d+ steps\))? \| (\d+) failed/.exec(stdout) ?? [];
      assertEquals([code, failed], [0, "0"], `${stdout}${stderr}`);
      assert(files.length > 40 && Number(passed) > 400, `${passed} passed, in ${files.length} files`);
      console.log(`under Wine: ${passed} unit tests passed, in ${files.length} files`);
    } finally {
      await Deno.remove(map);
    }
  },
});

/** What `watch.ts` tells of a change. */
interface Told {
  readonly events: readonly string[];
  readonly interfaces: readonly (readonly string[])[];
  readonly gateway: string | null;
  readonly families: readonly number[];
}

/** What is done at the host, the events that it makes, and what then is. */
const SCENES: readonly [commands: string, events: readonly string[], then: Omit<Told, "events">][] = [
  [
    `link add eth0 address 02:00:00:00:00:01 type veth peer name far0
     link set far0 up
     link set eth0 addrgenmode none up
     address add 192.168.1.23/24 dev eth0
     route add default via 192.168.1.1 dev eth0`,
    [
      "interfaceadd eth0",
      "addressadd eth0 192.168.1.23/24",
      "gatewaychange 4 none -> 192.168.1.1@eth0",
      "online 4",
    ],
    { interfaces: [["eth0", "192.168.1.23"]], gateway: "192.168.1.1", families: [4] },
  ],
  [
    `address add 192.168.1.24/24 dev eth0`,
    ["addressadd eth0 192.168.1.24/24"],
    { interfaces: [["eth0", "192.168.1.23", "192.168.1.24"]], gateway: "192.168.1.1", families: [4] },
  ],
  [
    `route replace default via 192.168.1.2 dev eth0`,
    ["gatewaychange 4 192.168.1.1@eth0 -> 192.168.1.2@eth0"],
    { interfaces: [["eth0", "192.168.1.23", "192.168.1.24"]], gateway: "192.168.1.2", families: [4] },
  ],
  [
    `route del default`,
    ["gatewaychange 4 192.168.1.2@eth0 -> none", "offline 4"],
    { interfaces: [["eth0", "192.168.1.23", "192.168.1.24"]], gateway: null, families: [] },
  ],
  // Wine 8 goes on to show an interface that was there once.
  [
    `address flush dev eth0`,
    ["addressremove eth0 192.168.1.23/24", "addressremove eth0 192.168.1.24/24"],
    { interfaces: [["eth0"]], gateway: null, families: [] },
  ],
];

Deno.test({
  name: "watchNetwork() tells by polling what is done to the network of the host",
  ...requires({ os: ["linux"], root: true, tools: [...WINE_TOOLS, "ip", "nsenter", "unshare"] }),
  async fn() {
    const namespaces = await findNamespaces();
    assert(namespaces.works);
    await using own = await ownWine(await wine(), namespaces.wrap);
    await using watching = await own.follow("watch.ts");
    const first: Told = JSON.parse(await watching.line());
    assertEquals([first.events, first.gateway, first.families], [["iphlpapi"], null, []]);
    for (const [commands, events, then] of SCENES) {
      // The program is the process that went into the namespace.
      await ip(watching.pid, commands);
      const missing = new Set(events);
      let last: Told = first;
      // A slow machine tells in several changes what a fast one tells in one.
      while (missing.size > 0 || !same(last, then)) {
        last = JSON.parse(await watching.line());
        for (const event of last.events) missing.delete(event);
      }
    }
    assertEquals((await watching.end()).code, 0);
  },
});

/** Whether all but the loopback interface, and the other end of the cable, is so. */
function same({ interfaces, gateway, families }: Told, then: Omit<Told, "events">): boolean {
  const ours = interfaces.filter(([name]) => name !== "lo" && name !== "far0")
    .map(([name, ...addresses]) => [name, ...addresses.toSorted()]);
  return JSON.stringify({ interfaces: ours, gateway, families }) === JSON.stringify(then);
}

async function ip(pid: number, commands: string): Promise<void> {
  for (const command of commands.split("\n")) {
    const args = [`--target=${pid}`, "--net", "ip", ...command.trim().split(" ")];
    const { success, stderr } = await new Deno.Command("nsenter", { args }).output();
    assert(success, `ip ${command}: ${new TextDecoder().decode(stderr)}`);
  }
}
