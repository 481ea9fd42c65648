/** Addresses and ports that a server cannot have, or loses: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { createServer } from "node:net";
import { acceptLoop } from "../../recover/accept_loop.ts";
import { classify } from "../../recover/classify.ts";
import { retry } from "../../recover/retry.ts";
import { timeout } from "../../recover/timeout.ts";
import { requires } from "../_require.ts";
import type { AskerResult } from "./_asker.ts";
import { isPending, provoke, reached, thrown } from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4 } = ADDRESS.client;
/** An address that the machine gets later. */
const LATER = "10.9.1.77";

provoke(
  "listen-address-missing: listening fails, retry() waits for the address and needs no other attempt before",
  async ({ lab, network }) => {
    const error = assertThrows(() => Deno.listen({ hostname: LATER, port: 8080 }).close(), Error);
    assertInstanceOf(error, Deno.errors.AddrNotAvailable);
    assertEquals((error as { readonly code?: string }).code, "EADDRNOTAVAIL");
    const byNode = await thrown(
      new Promise((_, reject) => createServer().once("error", reject).listen({ host: LATER, port: 8080 })),
    );
    assertEquals(byNode.code, "EINVAL", "node:net says something else");
    for (const one of [error, byNode]) {
      const context = { operation: "listen", localAddress: LATER, network: network.state } as const;
      const { scenario, kind, retry, code } = classify(one, context);
      assertEquals([scenario, kind, retry, code], [
        "listen-address-missing",
        "address-gone",
        "after-change",
        "EADDRNOTAVAIL",
      ]);
    }

    const policy = retry({ network, operation: "listen", maxAttempts: 100, safetyPoll: 600_000 });
    const suspended = Promise.withResolvers<string>();
    using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
    let attempts = 0;
    const listening = policy.execute(() => {
      attempts++;
      return Deno.listen({ hostname: LATER, port: 8080 });
    });
    assertEquals([await suspended.promise, attempts], ["change", 1]);
    await lab.ip("client", `address add ${LATER}/24 dev vc`);
    using listener = await listening;
    assertEquals([listener.addr.hostname, attempts], [LATER, 2]);
  },
);

Deno.test({
  name: "port-privileged: port 80 is refused without the right to it, and classify() says to take another",
  ...requires({ root: true, netns: true, tools: ["setpriv", "sysctl"] }),
  async fn() {
    assertEquals(await listenWithoutRight(), [
      "PermissionDenied",
      "EACCES",
      "port-privileged",
      "never",
      "8080",
    ]);
    await call("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=80");
    assertEquals(await listenWithoutRight(), ["80"], "the system's own remedy");
  },
});

/** Listens on port 80, or else on 8080, without the capability that root has; tells how it went. */
async function listenWithoutRight(): Promise<readonly string[]> {
  const code = `
    import { classify } from ${JSON.stringify(new URL("../../recover/classify.ts", import.meta.url).href)};
    const told = [];
    const listen = () => {
      try {
        return Deno.listen({ hostname: "127.0.0.1", port: 80 });
      } catch (error) {
        const { scenario, retry } = classify(error, { operation: "listen" });
        told.push(error.name, error.code, scenario, retry);
        if (scenario !== "port-privileged") throw error;
        return Deno.listen({ hostname: "127.0.0.1", port: 8080 });
      }
    };
    told.push(String(listen().addr.port));
    console.log(JSON.stringify(told));
    Deno.exit();
  `;
  const drop = ["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
  return JSON.parse(await call("setpriv", ...drop, Deno.execPath(), "eval", "--no-lock", code));
}

async function call(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

provoke(
  "listener-address-gone: no error and clients hang, a listener on all addresses goes on, and so does the old one",
  async ({ lab, network }) => {
    const asker = await lab.start("server", "_asker.ts");
    const ask = (hostname: string, port: number): Promise<AskerResult> =>
      asker.ask({ hostname, port, patience: hostname === v4 ? 1000 : 10_000 });
    const greet = async (conn: Deno.Conn): Promise<void> =>
      void await conn.write(new TextEncoder().encode("hello"));
    const listener = Deno.listen({ hostname: v4, port: 0 });
    const { port } = listener.addr;
    await using bound = acceptLoop(listener, greet);
    const everywhere = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    await using wild = acceptLoop(everywhere, greet);
    using alone = Deno.listen({ hostname: v4, port: 0 });
    const accepting = alone.accept();
    accepting.catch(() => {}); // it is awaited below
    assertEquals(await ask(v4, port), { greeting: "hello" });

    // The network gives the machine another address; a server that listens on the old one can tell whom it concerns.
    const announced = Promise.withResolvers<readonly string[]>();
    using _announce = network.subscribe(() => {
      const all = network.state.interfaces.flatMap(({ addresses }) =>
        addresses.map(({ address }) => address)
      );
      if (!all.includes(listener.addr.hostname) && all.includes(LATER)) announced.resolve(all);
    });
    await lab.ip("client", `address delete ${v4}/24 dev vc`, `address add ${LATER}/24 dev vc`);
    await lab.ip("client", `route replace default via ${ADDRESS.near.v4}`);
    assert((await announced.promise).includes(LATER));

    assertEquals(await ask(v4, port), { failure: "connect-hangs" });
    assert(await isPending(accepting) && await isPending(bound.closed), "the server is told nothing");
    const error = await thrown(timeout(50).execute(() => accepting));
    const context = { operation: "accept", localAddress: v4, network: network.state } as const;
    const { scenario, retry: when } = classify(error, context);
    assertEquals([scenario, when], ["listener-address-gone", "after-change"]);

    assertEquals(await ask(LATER, everywhere.addr.port), { greeting: "hello" });
    await using moved = acceptLoop(Deno.listen({ hostname: LATER, port }), greet);
    assertEquals(await ask(LATER, port), { greeting: "hello" });

    await lab.ip("client", `address add ${v4}/24 dev vc`);
    await reached(
      network,
      "the address",
      ({ interfaces }) => interfaces.some(({ addresses }) => addresses.some(({ address }) => address === v4)),
    );
    assertEquals(await ask(v4, port), { greeting: "hello" }, "the same listener works again");
    assertEquals([wild.connections, moved.connections], [0, 0]);
    alone.close();
    await thrown(accepting);
  },
);
