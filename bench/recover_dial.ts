/** Names and addresses that are dead: `dial()` beside what the runtime does by itself. */

import { dial, dialMemory } from "../recover/mod.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { ADDRESS, TwoHosts } from "../tests/netns/_two_hosts.ts";
import { type Figure, figure, median } from "./_figure.ts";

const { v4, v6 } = ADDRESS.server;

/** A second address of the server, and two that nobody has. */
const SECOND = "10.9.2.3";
const DEAD = ["10.9.2.99", "10.9.2.98"];

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function several(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let n = 0; n < count; n++) samples.push(await timed(work));
  return samples;
}

/**
 * Measures how long connections take whose first ways are dead.
 *
 * @param count How many samples of ours; the slow ones beside them are taken once.
 */
export async function dials(count: number): Promise<Figure[]> {
  // Other groups do without it.
  await Deno.writeTextFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0");
  await using lab = await TwoHosts.make();
  const authority = await makeTestAuthority();
  const tls = await authority.issue({ names: ["two.test"] });
  const records = {
    "both.test": { A: [v4], AAAA: [v6] },
    "dead.test": { A: [...DEAD, v4] },
    "two.test": { A: [v4, SECOND] },
  };
  const far = await lab.serve({
    fault: { fault: { type: "http", body: "hello" }, hostname: "::" },
    dns: { records, hostname: v4 },
  });
  await lab.changeNameserver(v4, "timeout:5 attempts:3");
  const connect = async (name: string): Promise<void> =>
    (await dial(`${name}:${far.port}`, { memory: dialMemory() })).conn.close();

  await far.tell({ do: "rules", rules: [{ type: "AAAA", fault: "drop" }] });
  const lost = await several(count, () => connect("both.test"));
  const lostBuiltIn = await timed(async () =>
    (await Deno.connect({ hostname: "both.test", port: far.port })).close()
  );
  await far.tell({ do: "rules", rules: [] });

  const dead = await several(count, () => connect("dead.test"));
  const deadFetch = await timed(async () => await (await fetch(`http://dead.test:${far.port}/`)).text());

  await lab.ip("server", `address add ${SECOND}/24 dev vs`);
  const port = far.port + 1;
  await lab.serve({ fault: { fault: { type: "silent" }, port } });
  await lab.serve({ fault: { fault: { type: "echo" }, port, hostname: SECOND, tls } });
  const hang = await several(count, async () => {
    const options = { transport: "tls", tls: { caCerts: [authority.cert] }, memory: dialMemory() } as const;
    (await dial(`two.test:${port}`, options)).conn.close();
  });

  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
  return [
    figure(
      "dial: one lost AAAA answer",
      median(lost),
      "ms",
      100,
      count,
      `Deno.connect: ${seconds(lostBuiltIn)}`,
    ),
    figure("dial: two dead A records", median(dead), "ms", 600, count, `fetch: ${seconds(deadFetch)}`),
    figure("dial: first address hangs in TLS", median(hang), "ms", 600, count, "Deno.connectTls: never"),
  ];
}
