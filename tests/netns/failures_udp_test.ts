/** Failures of UDP: brought about, known by name, and healed. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createSocket, type Socket } from "node:dgram";
import { classify } from "../../recover/classify.ts";
import { eventually } from "../_child.ts";
import { provoke, type Scene, thrown } from "./_provoke.ts";
import { ADDRESS, type Host } from "./_two_hosts.ts";
import type { UdpCommand, UdpState } from "./_datagram_program.ts";

const { v4 } = ADDRESS.server;
const PORT = 4000;

/** A UDP socket on a host. */
interface Udp {
  tell(command: UdpCommand): Promise<UdpState>;
}

async function udp({ lab }: Scene, host: Host): Promise<Udp> {
  const program = await lab.start(host, "_datagram_program.ts");
  return { tell: (command) => program.ask<UdpState>(command) };
}

/** A client with an open socket, and a server that does not listen yet. */
async function both(scene: Scene): Promise<readonly [client: Udp, server: Udp]> {
  const [client, server] = await Promise.all([udp(scene, "client"), udp(scene, "server")]);
  await client.tell({ do: "open", port: 0, echo: false });
  return [client, server];
}

/** Waits until so many datagrams have come. */
async function received(udp: Udp, count: number): Promise<readonly number[]> {
  let state = await udp.tell({ do: "state" });
  await eventually(`${count} datagrams`, async () => {
    state = await udp.tell({ do: "state" });
    return state.lengths.length >= count;
  });
  return state.lengths;
}

/** How many times the client was told by ICMP that something cannot be reached. */
async function unreachables(): Promise<number> {
  const text = await Deno.readTextFile("/proc/thread-self/net/snmp");
  const [names = [], values = []] = text.split("\n").filter((line) => line.startsWith("Icmp:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("InDestUnreachs")]);
}

function bound(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.bind({ address: "0.0.0.0", port: 0 }, resolve));
}

/** Sends by node:dgram. */
function send(socket: Socket, bytes: Uint8Array, to: string = v4): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(bytes, PORT, to, (error) => error ? reject(error) : resolve());
  });
}

provoke(
  "port-unreachable-unseen: sending succeeds, no error comes, and asking again in time finds who came late",
  async (scene) => {
    const [client, server] = await both(scene);
    const told = await unreachables();
    const node = createSocket("udp4");
    const errors: unknown[] = [];
    node.on("error", (error) => errors.push(error));
    await new Promise<void>((resolve) => node.connect(PORT, v4, resolve));
    await new Promise<void>((resolve, reject) => {
      node.send(new Uint8Array(9), (error) => error ? reject(error) : resolve());
    });
    const target = { to: v4, port: PORT, length: 9 } as const;
    assertEquals((await client.tell({ do: "send", ...target })).failure, null);
    await eventually("the ICMP messages", async () => await unreachables() >= told + 2);
    const { broken, lengths, failure } = await client.tell({ do: "send", ...target });
    assertEquals(
      [broken, lengths, failure, errors],
      [null, [], null, []],
      "the kernel knows it, and says nothing",
    );
    await new Promise<void>((resolve) => node.close(() => resolve()));

    const waiting = await client.tell({ do: "begin-ask", ...target });
    assertEquals(waiting.told, ["port-unreachable-unseen later"]);
    await server.tell({ do: "open", port: PORT, echo: true });
    const end = await client.tell({ do: "end" });
    assertEquals([end.failure, end.broken, end.lengths[0]], [null, null, 9]);
    assert(end.attempts >= 2, `${end.attempts} attempts`);
  },
);

/** Pieces that pass everywhere; the receiver puts them together by their numbers. */
function pieces(message: Uint8Array, size = 1198): Uint8Array[] {
  const count = Math.max(1, Math.ceil(message.length / size));
  return Array.from({ length: count }, (_, i) => {
    const piece = message.subarray(i * size, (i + 1) * size);
    return new Uint8Array([i, count, ...piece]);
  });
}

provoke(
  "datagram-too-long: one is refused, a fragmented one is lost without a word, and small pieces arrive",
  async (scene) => {
    const [client, server] = await both(scene);
    await server.tell({ do: "open", port: PORT, echo: false });
    const { failure } = await client.tell({ do: "send", to: v4, port: PORT, length: 65_508 });
    assertEquals(failure, ["Error", "EMSGSIZE", "datagram-too-long protocol never no"]);
    const node = createSocket("udp4");
    await bound(node);
    const error = await thrown(send(node, new Uint8Array(65_508)));
    assertEquals(classify(error, { operation: "send" }).scenario, "datagram-too-long", error.message);

    // As many firewalls do: fragments have no ports to judge by.
    await using _drop = await scene.lab.filter("router", "forward", "ip frag-off & 0x3fff != 0 counter drop");
    const lost = await client.tell({ do: "send", to: v4, port: PORT, length: 3000 });
    assertEquals(lost.failure, null, "it looks as if it were sent");
    await eventually("the fragments", async () => {
      const rules = await scene.lab.run("router", "nft", "list", "ruleset");
      return Number(/counter packets (\d+)/.exec(rules)?.[1]) >= 3;
    });
    const parts = pieces(new Uint8Array(3000));
    for (const part of parts) await send(node, part);
    node.close();
    assertEquals(await received(server, parts.length), [1200, 1200, 606]);
  },
);

provoke(
  "send-fails-for-now: each way to fail passes, and the same socket sends when the network is back",
  async (scene) => {
    const { lab } = scene;
    const [client, server] = await both(scene);
    await server.tell({ do: "open", port: PORT, echo: false });
    const target = { to: v4, port: PORT, length: 7 } as const;
    const failing = async (): Promise<UdpState["failure"]> =>
      (await client.tell({ do: "send", ...target })).failure;
    const node = createSocket("udp4");
    await bound(node);
    const seen: unknown[] = [];
    for (const type of ["unreachable", "throw", "prohibit", "blackhole"]) {
      await lab.ip("client", `route add ${type} ${v4}/32`);
      seen.push(await failing());
      const error = await thrown(send(node, new Uint8Array(1)));
      assertMatch(error.message, /UNKNOWN/);
      assertEquals(classify(error).scenario, "send-fails-for-now", type);
      await lab.ip("client", `route delete ${type} ${v4}/32`);
      assertEquals(await failing(), null, `${type}: the same socket, when it has passed`);
    }
    {
      await using _drop = await lab.filter("client", "output", `udp dport ${PORT} drop`);
      seen.push(await failing());
    }
    assertEquals(seen, [
      ["Error", "EHOSTUNREACH", "send-fails-for-now unreachable later no"],
      ["NetworkUnreachable", "ENETUNREACH", "send-fails-for-now unreachable later no"],
      // For these it is known why.
      ["PermissionDenied", "EACCES", "route-prohibited unreachable after-change no"],
      ["TypeError", "EINVAL", "route-prohibited unreachable after-change no"],
      ["PermissionDenied", "EPERM", "local-firewall permission after-change no"],
    ]);
    assertEquals(await received(server, 4), [7, 7, 7, 7]);

    await lab.ip("client", "route delete default", `route delete default via ${ADDRESS.near.v6}`);
    const gone = await failing();
    assertEquals(gone?.slice(0, 2), ["NetworkUnreachable", "ENETUNREACH"]);
    await eventually("the client to know it", async () => !(await client.tell({ do: "state" })).online);
    const { told, attempts } = await client.tell({ do: "begin-send", ...target });
    assertEquals([told, attempts], [["offline"], 0], "no attempt while there is no network");
    await lab.routes();
    const end = await client.tell({ do: "end" });
    assertEquals([end.failure, end.attempts], [null, 1]);
    assertEquals(await received(server, 5), [7, 7, 7, 7, 7]);
    await send(node, new Uint8Array(8));
    assertEquals(await received(server, 6), [7, 7, 7, 7, 7, 8]);
    node.close();
  },
);
