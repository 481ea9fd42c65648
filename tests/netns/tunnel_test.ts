/** Programs that know nothing of tunnels, while the client's link is down and comes back with another address. */

import { assertEquals } from "@std/assert";
import { wait } from "../../internal/clock.ts";
import { eventually } from "../_child.ts";
import { requires, scale } from "../_require.ts";
import { SERVER, type TunnelLab, tunnelLab } from "./_tunnel_lab.ts";
import { ADDRESS } from "./_two_hosts.ts";

/** How long the link is down after the loss was noticed, in milliseconds: no hope is in it, it is the outage itself. */
const OUTAGE = scale(1, 30) * 1000;

const TOOLS = ["ip", "nft", "sysctl", "ss"];

/** The port of a line of `listening`. */
function portOf(text: string): number {
  const line = text.split("\n").find((line) => line.includes('listening"')) ?? "{}";
  return Number(JSON.parse(line).address.split(":").at(-1));
}

/** The client's way out is gone, and comes back as another one. */
async function outage(all: TunnelLab, suspended: Promise<void>): Promise<void> {
  await all.down();
  await suspended;
  await wait(OUTAGE);
  await all.up();
}

/** Both ends of a tunnel to a port of the server's machine. */
async function both(all: TunnelLab, port: number) {
  const server = all.tunnel("server", "serve", "--listen", SERVER, "--to", `127.0.0.1:${port}`);
  await server.has('listening"');
  const client = all.tunnel("client", "connect", "--listen", "127.0.0.1:0", "--server", SERVER);
  await client.has('listening"');
  return { server, client, port: portOf(client.text) };
}

/** Talks to a line server. */
async function ask(conn: Deno.Conn, line: string): Promise<string> {
  await conn.write(new TextEncoder().encode(`${line}\n`));
  return await answer(conn);
}

async function answer(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1024);
  let text = "";
  while (!text.endsWith("\n")) {
    const count = await conn.read(buffer);
    if (count === null) throw new Error(`Cannot go on: an end after ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text.trimEnd();
}

Deno.test({
  name: "a line server's connection lives through an outage and a change of address, with what it remembers",
  ...requires({ root: true, netns: true, tools: [...TOOLS, "python3"] }),
  async fn() {
    await using all = await tunnelLab();
    const script = new URL("_line_server.py", import.meta.url).pathname;
    await all.start("server", "python3", "-u", script, "9000").has("ready");
    const { client, server, port } = await both(all, 9000);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(await ask(conn, "one"), "1 one");
    await all.down();
    await client.has('"suspended"');
    const asked = ask(conn, "two");
    await wait(OUTAGE);
    await all.up();
    // The same connection of the same server, which counts on.
    assertEquals(await asked, "2 two");
    assertEquals(await ask(conn, "three"), "3 three");
    await client.has('"resumed"');
    const said = JSON.parse(client.text.split("\n").find((line) => line.includes('"resumed"')) ?? "");
    assertEquals(said.connection.resumes, 1);
    const links = await all.lab.run("server", "ss", "-Htn", "state", "established", "sport", "=", ":7000");
    assertEquals([links.includes("10.9.1.3:"), server.text.includes('"refused"')], [true, false]);
  },
});

Deno.test({
  name: "redis-cli in the middle of a transaction notices nothing of an outage",
  ...requires({ root: true, netns: true, tools: [...TOOLS, "redis-server", "redis-cli"] }),
  async fn() {
    await using all = await tunnelLab();
    const settings = ["--port", "6400", "--bind", "127.0.0.1", "--save", "", "--dir", all.folder];
    await all.start("server", "redis-server", ...settings).has("Ready to accept connections");
    const { client, port } = await both(all, 6400);
    const redis = all.start("client", "redis-cli", "-p", String(port));
    await redis.say("MULTI\nINCR visits\n");
    await redis.has("QUEUED");
    await outage(all, client.has('"suspended"'));
    await redis.say("INCR visits\nEXEC\n");
    await redis.has(/\n1\n2\n/);
    assertEquals(await redis.end(), 0);
  },
});

/** An ssh server on the server's machine that lets the test in, and the arguments of its clients. */
async function sshServer(all: TunnelLab, address = "127.0.0.1"): Promise<readonly string[]> {
  const { folder, lab } = all;
  for (const name of ["host", "user"]) {
    await lab.run("client", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${folder}/${name}`);
  }
  await Deno.mkdir("/run/sshd", { recursive: true });
  await Deno.writeTextFile(
    `${folder}/sshd_config`,
    [
      "Port 2200",
      `ListenAddress ${address}`,
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/user.pub`,
      "PermitRootLogin yes",
      "StrictModes no",
      "UsePAM no",
      `PidFile ${folder}/sshd.pid`,
      "Subsystem sftp internal-sftp",
    ].join("\n"),
  );
  all.start("server", "/usr/sbin/sshd", "-D", "-e", "-f", `${folder}/sshd_config`);
  await eventually("the ssh server", async () => {
    return (await lab.run("server", "ss", "-Htln", "sport", "=", ":2200")) !== "";
  });
  // Known by its name, not by that of the tunnel.
  const known = (await Deno.readTextFile(`${folder}/host.pub`)).split(" ").slice(0, 2).join(" ");
  await Deno.writeTextFile(`${folder}/known_hosts`, `shell.test ${known}\n`);
  return [
    ...["-F", "/dev/null", "-i", `${folder}/user`, "-o", `UserKnownHostsFile=${folder}/known_hosts`],
    ...["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "HostKeyAlias=shell.test"],
    ...["-o", "ServerAliveInterval=0"],
  ];
}

Deno.test({
  name: "an ssh session with --stdio goes on in the same shell after an outage and a change of address",
  ...requires({ root: true, netns: true, tools: [...TOOLS, "ssh", "sshd", "ssh-keygen"] }),
  async fn() {
    await using all = await tunnelLab();
    const options = await sshServer(all);
    await all.tunnel("server", "serve", "--listen", SERVER, "--to", "127.0.0.1:2200").has('listening"');
    const proxy = all.proxyCommand("connect", "--stdio", "--server", SERVER);
    const loop = 'echo ready; n=0; while read line; do n=$((n+1)); echo "$n $line in $$"; done';
    const args = [...options, "-o", `ProxyCommand=${proxy}`, "root@shell.test", loop];
    const shell = all.start("client", "ssh", ...args);
    await shell.has("ready");
    await shell.say("one\n");
    await shell.has(/1 one in \d+\n/);
    const gone = async (): Promise<boolean> => {
      const links = await all.lab.run("client", "ss", "-Htn", "state", "established", "dport", "=", ":7000");
      return !links.includes(ADDRESS.client.v4);
    };
    await all.down();
    await shell.say("two\n");
    await eventually("the loss", gone);
    await wait(OUTAGE);
    await all.up();
    await shell.has(/2 two in \d+\n/);
    await shell.say("three\n");
    await shell.has(/3 three in \d+\n/);
    const shells = new Set([...shell.text.matchAll(/ in (\d+)\n/g)].map(([, pid]) => pid));
    assertEquals([shells.size, await shell.end()], [1, 0]);
  },
});

Deno.test({
  name: "a file that scp copies through an outage and a change of address arrives whole",
  ...requires({ root: true, netns: true, tools: [...TOOLS, "scp", "sshd", "ssh-keygen"] }),
  async fn() {
    await using all = await tunnelLab();
    const options = await sshServer(all);
    const { client, port } = await both(all, 2200);
    const [from, to] = [`${all.folder}/from`, `${all.folder}/to`];
    const size = scale(24, 500) * 1_000_000;
    await all.lab.run("client", "sh", "-c", `head -c ${size} /dev/urandom > ${from}`);
    // Slow enough that it is in the middle of it, whatever the machine.
    const limit = String(scale(64_000, 160_000));
    const scp = all.start(
      "client",
      "scp",
      ...["-q", "-l", limit, ...options, "-P", String(port), from, `root@127.0.0.1:${to}`],
    );
    await eventually("the first bytes", async () => {
      return await Deno.stat(to).then(({ size }) => size > 1_000_000, () => false);
    });
    await outage(all, client.has('"suspended"'));
    assertEquals(await scp.end(), 0);
    const sums = await all.lab.run("client", "sha256sum", from, to);
    const [one, other] = sums.trim().split("\n").map((line) => line.split(" ")[0]);
    assertEquals([one?.length, one === other, (await Deno.stat(to)).size], [64, true, size]);
  },
});

Deno.test({
  name: "tunnel ssh brings its own other end, and its shell goes on after an outage and a change of address",
  ...requires({ root: true, netns: true, tools: [...TOOLS, "ssh", "sshd", "ssh-keygen"] }),
  async fn() {
    await using all = await tunnelLab();
    await sshServer(all, ADDRESS.server.v4);
    const { folder } = all;
    const known = (await Deno.readTextFile(`${folder}/known_hosts`)).replace("shell.test", "[10.9.2.2]:2200");
    await Deno.writeTextFile(`${folder}/known_hosts`, known);
    const options = [
      ...["Port=2200", `IdentityFile=${folder}/user`, `UserKnownHostsFile=${folder}/known_hosts`],
      ...["StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IPQoS=none"],
    ].flatMap((one) => ["--ssh-option", one]);
    const loop = 'echo ready; n=0; while read line; do n=$((n+1)); echo "$n $line in $$"; done';
    const [program = "", ...entry] = all.command;
    const args = ["ssh", ...options, "--to", "10.9.2.2:2200", "--remote", all.program.join(" ")];
    const shell = all.start("client", program, ...entry, ...args, "root@10.9.2.2", loop);
    await shell.has("ready");
    await shell.say("one\n");
    await shell.has(/1 one in \d+\n/);
    await all.down();
    await shell.say("two\n");
    await wait(OUTAGE);
    await all.up();
    await shell.has(/2 two in \d+\n/);
    const shells = new Set([...shell.text.matchAll(/ in (\d+)\n/g)].map(([, pid]) => pid));
    assertEquals([shells.size, await shell.end()], [1, 0]);
  },
});
