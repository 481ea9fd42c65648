import { assert, assertEquals, assertRejects } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import type { HostAddress } from "./address.ts";
import { connect } from "./connect.ts";
import type { Link } from "./_link.ts";
import { listen } from "./listen.ts";
import { PipeError } from "./pipe_error.ts";
import { openUdpLink } from "./_udp_link.ts";
import { listenUdp, type UdpListenerOptions } from "./_udp_listener.ts";

const NOTHING = new Uint8Array(0);

async function heard(link: Link): Promise<string | null> {
  const data = await link.read(NOTHING);
  return data && new TextDecoder().decode(data);
}

async function say(link: Link, text: string): Promise<void> {
  assertEquals(await link.write(new TextEncoder().encode(text)), undefined);
}

/** A server, and clients of it that are closed with it. */
async function lab(options: UdpListenerOptions = {}): Promise<
  AsyncDisposable & {
    readonly server: Awaited<ReturnType<typeof listenUdp>>;
    readonly port: number;
    client(): Promise<Link>;
    /** A client whose link the server has accepted. */
    met(): Promise<readonly [Link, Link]>;
  }
> {
  const server = await listenUdp("udp://127.0.0.1:0", options);
  const { port } = server.addresses[0] as HostAddress;
  const links: Link[] = [];
  const client = async (): Promise<Link> => {
    const link = await openUdpLink(`udp://127.0.0.1:${port}`);
    links.push(link);
    return link;
  };
  const next = async (): Promise<Link> => {
    const link = await server.accept();
    assert(link);
    links.push(link);
    return link;
  };
  return {
    server,
    port,
    client,
    async met() {
      const near = await client();
      await say(near, "hello");
      const far = await next();
      assertEquals(await heard(far), "hello");
      return [near, far];
    },
    async [Symbol.asyncDispose]() {
      for (const link of links) await link.close();
      await server.close();
    },
  };
}

Deno.test("each peer has a link of its own, and gets its own answers", async () => {
  await using all = await lab();
  const pairs = [await all.met(), await all.met(), await all.met()];
  for (const [n, [, far]] of pairs.entries()) await say(far, `for ${n}`);
  for (const [n, [near]] of pairs.entries()) {
    assertEquals(await heard(near), `for ${n}`);
    await say(near, `from ${n}`);
  }
  for (const [n, [near, far]] of pairs.entries()) {
    assertEquals(await heard(far), `from ${n}`);
    assertEquals((far.remoteAddress as HostAddress).port, (near.localAddress as HostAddress).port);
  }
});

Deno.test("a peer that was closed and sends again is a new one", async () => {
  await using all = await lab();
  const [near, far] = await all.met();
  await far.close();
  await say(near, "again");
  const again = await all.server.accept();
  assert(again && again !== far);
  assertEquals(await heard(again), "again");
  await again.close();
});

Deno.test("a peer that is quiet for too long is over, after what waits was read; who sends stays", async () => {
  using _hold = holdProcess();
  const clock = new FakeClock();
  await using all = await lab({ clock, udp: { idle: 1000 } });
  const [busy, stays] = await all.met();
  const [quiet, over] = await all.met();
  await say(quiet, "last words");
  // Datagrams of one machine arrive in order.
  await say(busy, "here");
  assertEquals(await heard(stays), "here");
  clock.tick(900);
  await say(busy, "still here");
  assertEquals(await heard(stays), "still here");
  clock.tick(900);
  assertEquals(await heard(over), "last words");
  assertEquals(await heard(over), null);
  await say(stays, "you are");
  assertEquals(await heard(busy), "you are");
});

Deno.test("what is sent to a peer keeps it as well as what comes from it", async () => {
  using _hold = holdProcess();
  const clock = new FakeClock();
  await using all = await lab({ clock, udp: { idle: 1000 } });
  const [near, far] = await all.met();
  for (let i = 0; i < 3; i++) {
    clock.tick(900);
    await say(far, "tick");
    assertEquals(await heard(near), "tick");
  }
  const reading = heard(far);
  clock.tick(999);
  await say(near, "in time");
  assertEquals(await reading, "in time");
});

Deno.test("one peer too many takes the place of the one that never showed that it gets our answers", async () => {
  await using all = await lab({ udp: { maxPeers: 3 } });
  const [proven, known] = await all.met();
  await say(known, "answer");
  assertEquals(await heard(proven), "answer");
  await say(proven, "got it");
  assertEquals(await heard(known), "got it");
  const [talks, older] = await all.met();
  const [, newer] = await all.met();
  await say(talks, "nobody answers me");
  assertEquals(await heard(older), "nobody answers me");
  const [, newest] = await all.met();
  assertEquals(await heard(newer), null);
  const [, more] = await all.met();
  assertEquals(await heard(older), null);
  await say(newest, "still there");
  await say(more, "still there");
  await say(proven, "and me");
  assertEquals(await heard(known), "and me");
});

Deno.test("where all peers are known to be real, nobody takes their place", async () => {
  await using all = await lab({ udp: { maxPeers: 2 } });
  const pairs = [await all.met(), await all.met()];
  for (const [near, far] of pairs) {
    await say(far, "answer");
    await heard(near);
    await say(near, "got it");
    await heard(far);
  }
  const late = await all.client();
  await say(late, "me too");
  for (const [near, far] of pairs) {
    await say(near, "still here");
    assertEquals(await heard(far), "still here");
  }
  assertEquals(all.server.peers, { now: 2, evicted: 0, refused: 1 });
  await pairs[0]?.[1].close();
  await say(late, "and now");
  const accepted = await all.server.accept();
  assert(accepted);
  assertEquals(await heard(accepted), "and now");
  await accepted.close();
});

Deno.test("forged senders that nobody accepts cost a bounded amount, and the server goes on", async () => {
  using _hold = holdProcess();
  await using all = await lab({ udp: { maxPeers: 8, memory: 4096 } });
  for (let i = 1; i <= 100; i++) {
    const link = await openUdpLink(`udp://127.0.0.1:${all.port}`);
    await say(link, "x".repeat(1000));
    await link.close();
    while (all.server.peers.now + all.server.peers.evicted < i) await turn();
  }
  assertEquals(all.server.peers, { now: 8, evicted: 92, refused: 0 });
  let dropped = 0;
  for (let i = 0; i < 8; i++) {
    const link = await all.server.accept();
    assert(link);
    dropped += link.dropped ?? 0;
    await link.close();
  }
  // The memory that all of them share holds three.
  assertEquals(dropped, 5);
  const [near, far] = await all.met();
  await say(far, "welcome");
  assertEquals(await heard(near), "welcome");
});

function turn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0));
}

Deno.test("closing frees the port at once where no peer is left, and else with the last of them", async () => {
  const all = await lab();
  const url = `udp://127.0.0.1:${all.port}`;
  const [near, far] = await all.met();
  const accepting = all.server.accept();
  await all.server.close();
  assertEquals([await accepting, await all.server.accept()], [null, null]);
  await say(far, "still served");
  assertEquals(await heard(near), "still served");
  const taken = await assertRejects(() => listenUdp(url), PipeError, "EADDRINUSE");
  assertEquals([taken.code, taken.failure?.kind], ["listen", "address-in-use"]);
  await far.close();
  for (let i = 0; i < 100; i++) await (await listenUdp(url)).close();
  await all[Symbol.asyncDispose]();
});

Deno.test("links that nobody accepted end with the server", async () => {
  const all = await lab();
  const [, first] = await all.met();
  const waiting = await all.client();
  await say(waiting, "anybody?");
  await say(waiting, "hello?");
  const second = await all.server.accept();
  assert(second);
  const third = await all.client();
  await say(third, "me?");
  await first.close();
  await second.close();
  await all.server.close();
  await (await listenUdp(`udp://127.0.0.1:${all.port}`)).close();
  await all[Symbol.asyncDispose]();
});

Deno.test("listen() gives pipes over UDP, at both families where no host was named", async () => {
  await using server = await listen("udp://:0", { on: "loopback" });
  const texts: string[] = [];
  for (const { hostname, port } of server.addresses) {
    await using pipe = await connect(
      hostname.includes(":") ? `udp://[${hostname}]:${port}` : `udp://${hostname}:${port}`,
    );
    await pipe.send(`to ${hostname}`);
    for await (const accepted of server) {
      texts.push(new TextDecoder().decode(await accepted.recv() ?? undefined));
      await accepted.send("welcome");
      assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "welcome");
      await accepted.close();
      break;
    }
  }
  assertEquals(texts, ["to 127.0.0.1", "to ::1"]);
});

Deno.test("who sends to no address in particular is answered by this machine", async () => {
  await using server = await listen("udp://0.0.0.0:0");
  await using pipe = await connect(server.url as `udp:${string}`);
  await pipe.send("hello");
  for await (const accepted of server) {
    await accepted.send("welcome");
    assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), "welcome");
    await accepted.close();
    break;
  }
});
