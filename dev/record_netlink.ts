/**
 * Records what the kernel and `ip` say of some networks made for it: `deno run -A dev/record_netlink.ts`.
 *
 * Writes `tests/fixtures/netlink/SCENE.json` (requests and the datagrams that answered them, in base64),
 * `tests/fixtures/ip/SCENE.txt` (what the `ip` batch of the same moment printed) and
 * `tests/fixtures/netlink/notifications.json`. Parsers are tested on them, and fuzzed with pieces of them.
 *
 * @module
 */

import { acquireLibc, type Libc } from "../internal/ffi/libc_linux.ts";
import { IP_BATCH } from "../watch/_ip_json.ts";
import { NetlinkReader, NetlinkReceiver, openNetlink } from "../watch/_read_netlink.ts";
import { findNamespaces } from "./_namespace.ts";

const OUT = new URL("../tests/fixtures/", import.meta.url);
/** Links, neighbours, addresses, routes and rules of both families. */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;

/** What makes each network out of the one before, as lines for `ip -batch`; rules of IPv6 say so. */
const SCENES: Readonly<Record<string, string>> = {
  empty: "",
  home: `
    link add v0 type veth peer name v1
    link set v0 address 02:00:00:00:00:01
    link set v1 address 02:00:00:00:00:02 up
    link set v0 up
    address add 192.168.1.23/24 broadcast + dev v0 valid_lft 3600 preferred_lft 1800
    address add 2001:db8:1::23/64 dev v0 nodad
    address add 2001:db8:1::beef/64 dev v0 nodad valid_lft 7200 preferred_lft 0
    route add default via 192.168.1.1 dev v0 metric 100
    route add default via 192.168.1.2 dev v0 metric 600
    route add ::/0 via fe80::1 dev v0 metric 1024
    neighbour add 192.168.1.1 lladdr 02:00:00:00:01:01 dev v0 nud permanent
    neighbour add fe80::1 lladdr 02:00:00:00:01:01 dev v0 router nud reachable`,
  carrier: `
    link set v1 down`,
  containers: `
    link set v1 up
    link add docker0 type bridge
    link set docker0 up
    address add 172.17.0.1/16 dev docker0
    link add veth1a2b type veth peer name inside
    link set veth1a2b master docker0 up
    link set inside up
    tuntap add dev tun0 mode tun
    tuntap add dev tap0 mode tap
    link add vx0 type vxlan id 3 dev v0 dstport 4789
    link set vx0 up
    link add ifb7 type ifb`,
  odd: `
    address add 10.9.0.1 peer 10.9.0.2/32 dev v0
    address add 10.9.0.1 peer 10.9.0.3/32 dev v0
    address add 169.254.7.7/16 scope link dev v0
    address add 10.8.0.1/24 scope 100 dev v0 label v0:old
    link set v1 alias a_name_for_people
    link property add dev v1 altname a-long-name-of-the-other-end
    address add 2001:db8:9::9/64 dev v1 nodad
    address add 2001:db8:9::9/64 dev v0`,
  hops: `
    route del default via 192.168.1.1 dev v0
    route replace default nexthop via 192.168.1.1 dev v0 weight 2 nexthop via 192.168.1.9 dev v0
    route del ::/0
    route add ::/0 nexthop via fe80::1 dev v0 nexthop via fe80::2 dev v0`,
  via: `
    route del default
    route del default
    route add 0.0.0.0/0 via inet6 fe80::1 dev v0
    route del ::/0
    route add ::/0 dev v0`,
  policy: `
    rule add to 198.41.0.4 table 77 priority 100
    route add default via 192.168.1.77 dev v0 table 77 src 10.8.0.1 metric 5
    -6 rule add to 2001:503:ba3e::/48 table 78 priority 100
    route add unreachable ::/0 table 78`,
  blackhole: `
    route flush table 77
    route add blackhole default table 77
    -6 route flush table 78
    -6 route add blackhole ::/0 table 78`,
};

/** Changes of every kind, one after the other, while notifications are recorded. */
const CHANGES = `
  link add w0 type veth peer name w1
  link set w0 up
  link set w1 up
  address add 10.7.0.1/24 dev w0
  address add 2001:db8:7::1/64 dev w0
  route add default via 10.7.0.2 dev w0 metric 50
  route replace default via 10.7.0.3 dev w0 metric 50
  neighbour add 10.7.0.3 lladdr 02:00:00:00:07:03 dev w0 nud permanent
  rule add from 10.7.0.1 table 99
  link set w0 mtu 1400
  link set w1 down
  link set w1 up
  link set w0 down
  link set w0 name w9
  link set w9 master docker0
  rule del from 10.7.0.1 table 99
  address flush dev w9
  link del w9`;

async function ip(args: readonly string[], input: string): Promise<string> {
  const child = new Deno.Command("ip", {
    args: [...args, "-batch", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

async function apply(commands: string): Promise<void> {
  const lines = commands.split("\n").map((line) => line.trim());
  await ip([], lines.filter((line) => !line.startsWith("-6 ")).join("\n"));
  await ip(["-6"], lines.filter((line) => line.startsWith("-6 ")).join("\n").replaceAll("-6 ", ""));
}

interface Exchange {
  readonly request: string;
  readonly answers: string[];
}

/** The C library with an ear at what goes through its sockets. */
function recording(libc: Libc, exchanges: Exchange[]): Libc {
  return {
    ...libc,
    call: {
      ...libc.call,
      sendto(fd, data, ...rest) {
        exchanges.push({ request: data.toBase64(), answers: [] });
        return libc.call.sendto(fd, data, ...rest);
      },
      recvfrom(fd, into, ...rest) {
        const size = libc.call.recvfrom(fd, into, ...rest);
        if (size > 0) exchanges.at(-1)?.answers.push(into.subarray(0, size).toBase64());
        return size;
      },
    },
  };
}

function write(path: string, content: string): void {
  Deno.mkdirSync(new URL(".", new URL(path, OUT)), { recursive: true });
  Deno.writeTextFileSync(new URL(path, OUT), content);
}

/** Duplicate detection takes its time, and is a state of its own until then. */
async function settled(): Promise<void> {
  while (/tentative/.test((await ip(["-6"], "address show")).replaceAll(/^.*dadfailed.*$/gm, ""))) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function record(): Promise<void> {
  using libc = acquireLibc();
  for (const [scene, commands] of Object.entries(SCENES)) {
    await apply(commands);
    await settled();
    const exchanges: Exchange[] = [];
    using reader = new NetlinkReader(recording(libc, exchanges));
    reader.read(null);
    write(`netlink/${scene}.json`, `${JSON.stringify(exchanges, null, 2)}\n`);
    write(`ip/${scene}.txt`, await ip(["-json", "-details", "-force"], IP_BATCH));
  }
  const fd = openNetlink(libc, GROUPS);
  await apply(CHANGES);
  const receiver = new NetlinkReceiver(libc, fd);
  const notifications: string[] = [];
  for (let one = receiver.receive(); one instanceof Uint8Array; one = receiver.receive()) {
    notifications.push(one.toBase64());
  }
  libc.call.close(fd);
  write("netlink/notifications.json", `${JSON.stringify(notifications, null, 2)}\n`);
}

if (import.meta.main) {
  if (Deno.args[0] === "--inside") await record();
  else {
    const namespaces = await findNamespaces();
    if (!namespaces.works) throw new Error(`Cannot record: ${namespaces.why}`);
    const self = [Deno.execPath(), "run", "-A", import.meta.filename ?? "", "--inside"];
    const [program, ...args] = namespaces.wrap(self);
    const { code } = await new Deno.Command(program, { args }).spawn().status;
    Deno.exit(code);
  }
}
