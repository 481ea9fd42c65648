/**
 * Records what the tables of Windows say of a network that changes: `deno run -A tests/windows/record.ts`.
 *
 * Writes `tests/fixtures/windows/session.json`: the scenes in order, each with its name and the tables in base64. They come
 * from Wine in a network namespace of its own, whose interfaces Wine shows.
 *
 * @module
 */

import { findNamespaces } from "../../dev/_namespace.ts";
import { openWine, ownWine } from "./_wine.ts";

/** What makes each scene out of the one before, as lines for `ip -batch`. Wine 8 does not show a lost carrier. */
const SCENES: Readonly<Record<string, string>> = {
  empty: "",
  home: `
    link add eth0 type veth peer name far0
    link set eth0 address 02:00:00:00:00:01
    link set far0 address 02:00:00:00:00:02 up
    link set eth0 up
    address add 192.168.1.23/24 dev eth0
    address add 2001:db8:1::23/64 dev eth0 nodad
    neighbour add 192.168.1.1 lladdr 02:00:00:00:01:01 dev eth0 nud permanent
    route add default via 192.168.1.1 dev eth0 metric 100`,
  gateway: `
    neighbour add 192.168.1.2 lladdr 02:00:00:00:01:02 dev eth0 nud permanent
    route replace default via 192.168.1.2 dev eth0 metric 100`,
  second: `
    link add eth1 type veth peer name far1
    link set eth1 address 02:00:00:00:00:03
    link set far1 address 02:00:00:00:00:04 up
    link set eth1 up
    address add 10.0.0.5/8 dev eth1
    route add default via 10.0.0.1 dev eth1 metric 50`,
  off: `
    address flush dev eth1
    link set eth1 down`,
  offline: `
    route del default
    address del 192.168.1.23/24 dev eth0`,
};

async function ip(lines: string): Promise<void> {
  const child = new Deno.Command("ip", { args: ["-batch", "-"], stdin: "piped", stdout: "null" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines.split("\n").map((line) => line.trim()).join("\n")));
  await writer.close();
  if (!(await child.status).success) throw new Error("Cannot record: ip failed");
}

async function record(): Promise<void> {
  await using wine = await ownWine(await openWine());
  await using tables = await wine.follow("record_scene.ts");
  const session = [];
  for (const [scene, commands] of Object.entries(SCENES)) {
    await ip(commands);
    await tables.say("");
    session.push({ scene, ...JSON.parse(await tables.line()) });
  }
  await tables.end();
  const url = new URL("../fixtures/windows/session.json", import.meta.url);
  await Deno.writeTextFile(url, `${JSON.stringify(session, null, 2)}\n`);
}

async function main(): Promise<void> {
  if (Deno.args[0] === "--inside") return await record();
  const namespaces = await findNamespaces();
  if (!namespaces.works) throw new Error(`Cannot record: ${namespaces.why}`);
  const [program, ...args] = namespaces.wrap([
    Deno.execPath(),
    "run",
    "-A",
    import.meta.filename ?? "",
    "--inside",
  ]);
  const { code } = await new Deno.Command(program, { args }).spawn().status;
  Deno.exit(code);
}

if (import.meta.main) await main();
