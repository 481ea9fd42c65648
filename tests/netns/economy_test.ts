// runs alone
/** What must not be told, and what must not be done: container plumbing, refreshed lifetimes, a network at rest. */

import { assert, assertEquals } from "@std/assert";
import { startStunServer } from "@holdfast/net/testing";
import { eventually, threadsOf } from "../_child.ts";
import { startCode } from "../_code.ts";
import { requires, scale } from "../_require.ts";
import { assertAgreement } from "./_agreement.ts";
import { describe } from "./_describe.ts";
import { ip, ip6, Network, Observer } from "./_network.ts";

const needs = requires({ netns: true, tools: ["ip"] });

/** A machine that is online by both families. */
async function plugIn(network: Network): Promise<void> {
  await network.plug("wan0", "peer0");
  await ip(
    "link set wan0 up",
    "address add 10.1.0.2/24 dev wan0",
    "address add 2001:db8:1::2/64 dev wan0 nodad",
    "route add default via 10.1.0.1",
  );
  await ip6("route add default via 2001:db8:1::1");
}

/** The events that would make programs look for their connections. */
const TELLING = /^(address|gateway|defaultinterface|route|identity|dns|online|offline|resync)/;

for (
  const { bridge, address } of [{ bridge: "docker0", address: "172.17.0.1/16" }, {
    bridge: "br0",
    address: null,
  }]
) {
  const starts = scale(50, 500);
  Deno.test({
    name:
      `${starts} containers that come and go on the bridge ${bridge} are no news of addresses, path or being online`,
    ...needs,
    async fn() {
      await using network = await Network.make();
      await plugIn(network);
      const inside = await network.namespace("container");
      await ip(`link add ${bridge} type bridge`, `link set ${bridge} up`);
      if (address) await ip(`address add ${address} dev ${bridge}`);
      await using observer = await Observer.open({ backend: "netlink" });
      assertEquals(observer.watcher.state.families, [4, 6]);
      for (let n = 0; n < starts; n++) {
        await ip(
          `link add veth${n} type veth peer name eth${n}`,
          `link set veth${n} master ${bridge} up`,
          `link set eth${n} netns container`,
        );
        await inside(
          `link set eth${n} name eth0`,
          "link set eth0 up",
          "address add 172.17.0.2/16 dev eth0",
          "route add default via 172.17.0.1",
        );
        // As the runtimes do it: the end outside is deleted, and takes the one inside along.
        await ip(`link delete veth${n}`);
      }
      await ip("address add 10.1.0.77/24 dev wan0");
      await observer.until("the sentinel", () => observer.events.some(({ type }) => type === "addressadd"));
      const told = observer.events.map(describe);
      assertEquals(told.filter((line) => TELLING.test(line)), ["addressadd wan0 10.1.0.77/24"]);
      // It was not asleep.
      assert(
        told.filter((line) => line.startsWith("interfaceadd veth")).length > starts / 2,
        told.join("\n"),
      );
      assertEquals(observer.changes.filter(({ major }) => major !== "none"), []);
      await assertAgreement(observer);
    },
  });
}

Deno.test({
  name: `${scale(500, 10_000)} refreshed lifetimes, as router advertisements bring them, are no events`,
  ...needs,
  async fn() {
    await using network = await Network.make();
    await plugIn(network);
    await ip("address add 2001:db8:2::2/64 dev wan0 nodad valid_lft 3600 preferred_lft 1800 mngtmpaddr");
    await ip("address add 10.2.0.2/24 dev wan0 valid_lft 3600 preferred_lft 1800");
    await using observer = await Observer.open({ backend: "netlink" });
    const batches = 10;
    const each = scale(500, 10_000) / batches / 2;
    await observer.quietly("refreshed lifetimes", async () => {
      for (let batch = 0; batch < batches; batch++) {
        await ip(
          ...Array.from({ length: each }, (_, n) => {
            const lifetimes = `valid_lft ${3600 + n} preferred_lft ${1800 + n}`;
            return [
              `address change 2001:db8:2::2/64 dev wan0 ${lifetimes} mngtmpaddr`,
              `address change 10.2.0.2/24 dev wan0 ${lifetimes}`,
            ];
          }).flat(),
        );
      }
    });
    await assertAgreement(observer);
    // They were read.
    const fresh = observer.watcher.state.interfaces.flatMap(({ addresses }) => addresses);
    const preferred = fresh.find(({ address }) => address === "2001:db8:2::2")?.preferredLifetime ?? 0;
    assert(preferred > (1800 + each - 60) * 1000, `${preferred}`);
  },
});

/** What a thread has used up since its start. */
interface Use {
  /** Processor time in milliseconds. */
  readonly time: number;
  /** How often it has gone to sleep, and so been woken. */
  readonly wakes: number;
}

function useOf(pid: number): ReadonlyMap<string, Use> {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }): [string, Use] => {
    const folder = `/proc/${pid}/task/${name}`;
    const [nanoseconds] = Deno.readTextFileSync(`${folder}/schedstat`).split(" ");
    const status = Deno.readTextFileSync(`${folder}/status`);
    const wakes = Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
    return [name, { time: Number(nanoseconds) / 1e6, wakes }];
  });
  return new Map(threads);
}

/** What the threads that there are now have used up since then. */
function usedSince(pid: number, before: ReadonlyMap<string, Use>): Use {
  let [time, wakes] = [0, 0];
  for (const [thread, use] of useOf(pid)) {
    time += use.time - (before.get(thread)?.time ?? 0);
    wakes += use.wakes - (before.get(thread)?.wakes ?? 0);
  }
  return { time, wakes };
}

const seconds = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * 1000));

Deno.test({
  name: `a watcher at rest uses at most ${scale(3, 10)} ms of the processor in ${
    scale(5, 60)
  } s, and blocks no thread`,
  ...needs,
  async fn() {
    await using network = await Network.make();
    await plugIn(network);
    await using stun = await startStunServer();
    const window = scale(5, 60);
    // Half a minute after its start the engine tidies its heap up, once, which takes some 15 ms and is not our doing.
    const options = { flags: ["-A", "--v8-flags=--no-memory-reducer"], bound: 60_000 + 2000 * window };
    // What the runtime itself does at rest, to compare with.
    await using plain = startCode(
      `
      setTimeout(() => {}, 1e9);
      console.log("ready");
    `,
      options,
    );
    await using watching = startCode(
      `
      import { watchNetwork } from "#/watch/mod.ts";
      const watcher = await watchNetwork({ external: { servers: ["${stun.url}"], families: [4] } });
      watcher.on("externalchange", () => console.log("ready by", watcher.backend));
      for await (const _ of watcher) { /* at rest */ }
    `,
      options,
    );
    await plain.said("ready");
    await watching.said("ready by netlink");
    // The settled change is still to come, and the runtime lets the threads of its start go after ten seconds.
    await seconds(scale(1, 12));
    const [idle, watchful] = [useOf(plain.pid), useOf(watching.pid)];
    await seconds(window);
    const [basis, used] = [usedSince(plain.pid, idle), usedSince(watching.pid, watchful)];
    const text = ({ time, wakes }: Use): string => `${time.toFixed(1)} ms, ${wakes} wake-ups`;
    console.log(`in ${window} s: ${text(used)}; a process that does nothing: ${text(basis)}`);
    // 10 ms are one tick of the usual clock. Measured: 0.5 ms in 5 s, 8 ms in 60 s, most of which goes into asking the
    // STUN server anew; 5 and 35 wake-ups.
    assert(used.time <= scale(3, 10), text(used));
    assert(used.wakes - basis.wakes <= 10 + window / 2, text(used));
    // A thread that waits in a call of the C library would be one more, for good; the runtime's own go after ten seconds.
    await eventually(
      "as many threads as in a process that does nothing",
      () => threadsOf(watching.pid) === threadsOf(plain.pid),
    );
  },
});
