/** Sabotages of `watch/`. */

import type { Sabotage } from "./sabotages.ts";

const STUN = { file: "watch/_stun.ts", test: ["watch/_stun_test.ts"] };
const VERDICT = { file: "watch/_external_verdict.ts", test: ["watch/_external_verdict_test.ts"] };
const QUERY = { file: "watch/_external_query.ts", test: ["watch/external_test.ts"] };
const SETTLER = { file: "watch/_settle.ts", test: ["watch/watch_test.ts"] };
const DIFF = { file: "watch/diff.ts", test: ["watch/diff_test.ts"] };
const STATE = { file: "watch/state.ts", test: ["watch/state_test.ts"] };
const HUB = { file: "watch/_hub.ts", test: ["watch/_hub_test.ts"] };
const KERNEL = { test: ["tests/netns/contract_test.ts"] };
const NETLINK = { ...KERNEL, file: "watch/_source_netlink.ts" };
const NETLINK_READER = { ...KERNEL, file: "watch/_read_netlink.ts" };

/** All of them. */
export const WATCH: readonly Sabotage[] = [
  {
    ...STUN,
    name: "STUN: any transaction id is taken for ours",
    find: "if (!message.id.every((byte, i) => byte === id[i])) {",
    replace: "if (message.id.length !== id.length) {",
  },
  {
    ...STUN,
    name: "STUN: a message without the magic cookie is taken",
    find: "if (!MAGIC.every((byte, i) => byte === bytes[4 + i])) {",
    replace: "if (MAGIC.length === 0) {",
  },
  {
    ...STUN,
    name: "STUN: a wrong FINGERPRINT is taken",
    find: "if (view.getUint32(next - 4) !== fingerprint(before)) {",
    replace: "if (view.getUint32(next - 4) < 0 && fingerprint(before)) {",
  },
  {
    ...STUN,
    name: "STUN: an attribute may reach beyond the message",
    find: "if (next > bytes.length) {",
    replace: "if (next > bytes.length + 65_536) {",
  },
  {
    ...STUN,
    name: "STUN: a mapped address that can be nobody's is taken",
    find: "if (!isUsable(mapped)) {",
    replace: "if (!isUsable(mapped) && mapped.port > 65_535) {",
  },
  {
    ...VERDICT,
    name: "external: the first answer wins over the majority",
    find: "sort((a, b) => b.length - a.length)",
    replace: "sort((a, b) => a.length - b.length)",
  },
  {
    ...QUERY,
    name: "external: answers of strangers count",
    find: "this.#transactions.get(hostOf(from))",
    replace: "this.#transactions.get(hostOf(from)) ?? [...this.#transactions.values()][0]",
  },
  {
    ...QUERY,
    name: "external: a lost request is not repeated",
    find: "const REPEATS = [250, 750, 1750];",
    replace: "const REPEATS = [250_000];",
  },
  {
    ...SETTLER,
    name: "watcher: a storm puts the settled change off for ever",
    find: "Math.min(quiet, this.#since + ceiling - now)",
    replace: "Math.min(quiet, quiet + ceiling - now * 0)",
    filter: "steady stream",
  },
  {
    ...SETTLER,
    name: "watcher: every event settles at once",
    find: "this.#settleIn(Math.max(0, Math",
    replace: "this.#settleIn(0 * Math.max(0, Math",
    filter: "quiet",
  },
  {
    ...DIFF,
    name: "differ: an address that goes is not told",
    find: "return [...removed, ...changed, ...added];",
    replace: "return [...removed.slice(removed.length), ...changed, ...added];",
  },
  {
    ...DIFF,
    name: "differ: being offline is not told",
    find: "    if (before.families.includes(family) && !families.includes(family)) {",
    replace: "    if (before.families.includes(family) && families.length > 2) {",
  },
  {
    ...DIFF,
    name: "differ: another gateway on the same interface is not told",
    find: "if (from?.gateway !== to?.gateway || !sameInterface) types",
    replace: "if (!sameInterface) types",
  },
  {
    ...STATE,
    name: "state: a tentative address is usable",
    find: "return !address.tentative && ",
    replace: "return ",
  },
  {
    ...STATE,
    name: "state: an address that another has is usable",
    find: "!address.conflict && ",
    replace: "",
  },
  {
    ...STATE,
    name: "state: container plumbing counts like any interface",
    find: "if (CONTAINER_NAME.test(iface.name) || ",
    replace: "if (",
  },
  {
    name: "pace: a storm is read without a pause",
    file: "watch/_pace.ts",
    find: "const EVEN_GAP = 20;",
    replace: "const EVEN_GAP = 0;",
    test: ["watch/_pace_test.ts"],
  },
  {
    name: "carrier: its loss gets no grace",
    file: "watch/_carrier.ts",
    find: "now - since < grace",
    replace: "now - since < grace * 0",
    test: ["watch/_carrier_test.ts"],
  },
  {
    name: "wake: short sleeps are told",
    file: "watch/wake.ts",
    find: "if (slept > LEAST)",
    replace: "if (slept > 0)",
    test: ["watch/wake_test.ts"],
  },
  {
    name: "major: a source address that is gone asks for nothing",
    file: "watch/_major.ts",
    find: "if (loss && !path.lost) required.push(loss);",
    replace: "if (loss && path.lost) required.push(loss);",
    test: ["watch/_major_test.ts"],
  },
  {
    name: "identity: other hardware behind the same address is the same network",
    file: "watch/_identity.ts",
    find: "return a.mac === b.mac && ",
    replace: "return ",
    test: ["watch/_identity_test.ts"],
  },
  {
    ...HUB,
    name: "hub: the last holder does not close the source",
    find: "if (--this.#holds > 0 || this.#closed) return;",
    replace: "if (--this.#holds > -9 || this.#closed) return;",
  },
  {
    ...HUB,
    name: "hub: a hint during a reading is forgotten",
    find: "if (this.#running) this.#again = true;",
    replace: "if (this.#running) this.#again = false;",
  },
  {
    ...HUB,
    name: "hub: a broken source is opened again at full speed",
    find: "if (calm) await this.#reopen(error);",
    replace: "if (calm || error) await this.#reopen(error);",
  },
  {
    ...NETLINK,
    name: "netlink: routes are not listened to",
    find: "0x10 | 0x40 | 0x80",
    replace: "0x10 | 0x80",
    filter: "netlink: another gateway",
  },
  {
    ...NETLINK,
    name: "netlink: the socket raises no signal",
    find: "O_NONBLOCK | O_ASYNC)",
    replace: "O_NONBLOCK)",
    filter: "netlink: IPv4 addresses",
  },
  {
    ...NETLINK_READER,
    name: "netlink: a tentative address looks usable",
    find: "TENTATIVE: 0x40",
    replace: "TENTATIVE: 0x40_00_00",
    filter: "netlink: an IPv6 address is not usable",
  },
  {
    ...NETLINK_READER,
    name: "netlink: a duplicate address looks usable",
    find: "DADFAILED: 0x08",
    replace: "DADFAILED: 0x08_00_00",
    filter: "netlink: an IPv6 address that another has",
  },
  {
    name: "netlink: messages that do not come from the kernel are believed",
    file: "watch/_read_netlink.ts",
    find: "if (this.#senderFields.getUint32(4, true) === 0) return",
    replace: "if (this.#senderFields.byteLength > 0) return",
    test: ["tests/netns/forged_test.ts"],
  },
  {
    ...NETLINK,
    name: "netlink: at an overflow the socket is left as it is",
    find: "        hint = true;\n",
    replace: "        return false;\n",
    test: ["tests/netns/overflow_test.ts"],
  },
  {
    ...NETLINK_READER,
    name: "netlink: a dump that was interrupted is taken for whole",
    find: "interrupted ||= (message.flags & FLAG.DUMP_INTR) !== 0;",
    replace: "interrupted ||= (message.flags & 0) !== 0;",
    test: ["watch/_read_netlink_test.ts"],
  },
  {
    name: "netlink: the signal handler stays after the last watcher",
    file: "watch/_source_netlink.ts",
    find: 'stack.defer(() => Deno.removeSignalListener("SIGIO", handler));',
    replace: "stack.defer(() => void handler);",
    test: ["tests/netns/leak_test.ts"],
  },
  {
    name: "resolver: a file that is replaced is not seen",
    file: "watch/_dns_linux.ts",
    find: "const IN_MASK = 0x8 | 0x40 | 0x80 | 0x100 | 0x200;",
    replace: "const IN_MASK = 0x8 | 0x40 | 0x100 | 0x200;",
    test: ["tests/netns/dns_test.ts"],
  },
  {
    name: "resolver: what stands behind systemd-resolved's stub is not looked at",
    file: "watch/_resolv.ts",
    find: "!config.servers.every((server) => STUBS.has(server))",
    replace: "config.servers.every((server) => STUBS.has(server))",
    test: ["tests/netns/dns_test.ts"],
  },
  {
    name: "permissions: choosing a backend makes the runtime ask a person",
    file: "watch/_select.ts",
    find: "    if (wouldPrompt(rung.needs)) {",
    replace: "    if (wouldPrompt([])) {",
    test: ["tests/prompt_test.ts"],
  },
];
