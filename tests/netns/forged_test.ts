/** A privileged process can write to the netlink sockets of others; only the kernel is believed. */

import { assert, assertEquals } from "@std/assert";
import { watchNetwork } from "@holdfast/net/watch";
import { holdProcess } from "../../internal/clock.ts";
import { requires } from "../_require.ts";
import { ip } from "./_network.ts";

/** Sends an RTM_NEWLINK for an interface "forged0" to each port given, with the highest sequence number there is. */
const FORGE = `
import socket, struct, sys
name = b"forged0\\0"
body = struct.pack("=BxHiII", 0, 1, 999, 0, 0) + struct.pack("=HH", 4 + len(name), 3) + name
message = struct.pack("=IHHII", 16 + len(body), 16, 2, 0xffffffff, 0) + body
sender = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
for port in sys.argv[1:]:
    sender.sendto(message, (int(port), 0))
    print("sent")
`;

/** The ports of all sockets of the route family in this namespace (netlink(7), /proc/net/netlink). */
async function ports(): Promise<readonly string[]> {
  const lines = (await Deno.readTextFile("/proc/thread-self/net/netlink")).trim().split("\n").slice(1);
  const rows = lines.map((line) => line.split(/\s+/));
  return rows.flatMap(([, protocol, port = "0"]) => protocol === "0" && port !== "0" ? [port] : []);
}

Deno.test({
  name: "messages forged by another process are not believed",
  ...requires({ netns: true, tools: ["ip", "python3"] }),
  async fn() {
    await using watcher = await watchNetwork({ backend: "netlink" });
    const added: string[] = [];
    using _added = watcher.on("interfaceadd", (event) => added.push(event.interface));
    const targets = await ports();
    assert(targets.length >= 2, `the watcher has a socket for news and one for answers, found ${targets}`);
    const { stdout, stderr } = await new Deno.Command("python3", { args: ["-c", FORGE, ...targets] })
      .output();
    const decoder = new TextDecoder();
    assertEquals(decoder.decode(stdout), "sent\n".repeat(targets.length), decoder.decode(stderr));

    // A watcher alone keeps no process alive, and the news may come after the tool's end.
    using _hold = holdProcess();
    const seen = Promise.withResolvers<void>();
    using _seen = watcher.on("addressadd", ({ address }) => address === "10.7.0.1" && seen.resolve());
    await ip("address add 10.7.0.1/32 dev lo");
    await seen.promise;
    assertEquals(added, []);
    assertEquals(watcher.state.interfaces.map(({ name }) => name), ["lo"]);
    await ip("address delete 10.7.0.1/32 dev lo");
  },
});
