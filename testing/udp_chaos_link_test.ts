import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createSocket, type Socket } from "node:dgram";
import { FakeClock } from "./fake_clock.ts";
import { startUdpChaosLink, type UdpChaosLink, type UdpChaosLinkOptions } from "./udp_chaos_link.ts";

/** A socket that keeps what comes. */
class Box implements AsyncDisposable {
  readonly socket: Socket = createSocket("udp4");
  readonly got: string[] = [];
  readonly from: number[] = [];

  static async open(): Promise<Box> {
    const box = new Box();
    box.socket.on("message", (data, { port }) => {
      box.got.push(new TextDecoder().decode(data));
      box.from.push(port);
    });
    await new Promise<void>((resolve) => box.socket.bind(0, "127.0.0.1", resolve));
    return box;
  }

  get port(): number {
    return this.socket.address().port;
  }

  send(text: string, port: number): Promise<void> {
    return new Promise((resolve, reject) =>
      this.socket.send(text, port, "127.0.0.1", (error) => error ? reject(error) : resolve())
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => this.socket.close(() => resolve()));
  }
}

/** A client, a link and a server. */
async function through(
  options: Omit<UdpChaosLinkOptions, "target">,
): Promise<
  AsyncDisposable & { link: UdpChaosLink; client: Box; server: Box; send(text: string): Promise<void> }
> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await Box.open());
  const link = stack.use(await startUdpChaosLink({ target: `127.0.0.1:${server.port}`, ...options }));
  const client = stack.use(await Box.open());
  const send = async (text: string): Promise<void> => {
    const { received } = link.counts.up;
    await client.send(text, link.port);
    // One by one, or the system may drop some itself.
    await until(() => link.counts.up.received > received);
  };
  return { link, client, server, send, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

Deno.test("datagrams pass in order, and the answers find each client", async () => {
  await using all = await through({});
  await using other = await Box.open();
  for (const text of numbers(20)) await all.send(text);
  await other.send("other", all.link.port);
  await until(() => all.server.got.length === 21);
  assertEquals(all.server.got, [...numbers(20), "other"]);
  const [first = 0, second = 0] = [all.server.from[0], all.server.from[20]];
  assert(first !== second);
  await all.server.send("to the one", first);
  await all.server.send("to the other", second);
  await until(() => all.client.got.length + other.got.length === 2);
  assertEquals([all.client.got, other.got, all.link.clients], [["to the one"], ["to the other"], 2]);
  assertEquals(all.link.counts.down, { received: 2, sent: 2, lost: 0, duplicated: 0, reordered: 0 });
});

Deno.test("loss loses as many as it says, and the same with the same seed", async () => {
  const lost = async (seed: number): Promise<readonly string[]> => {
    await using all = await through({ seed, faults: { loss: 0.3 } });
    for (const text of numbers(200)) await all.send(text);
    const { received, sent, lost } = all.link.counts.up;
    assertEquals([received, sent + lost], [200, 200]);
    // Six standard deviations around 60.
    assert(lost > 20 && lost < 100, `${lost} of 200`);
    await until(() => all.server.got.length === sent);
    return all.server.got;
  };
  const [a, b, c] = [await lost(11), await lost(11), await lost(12)];
  assertEquals(a, b);
  assert(a.join() !== c.join());
});

Deno.test("a duplicate is counted, and both of them arrive", async () => {
  await using all = await through({ faults: { up: { duplicate: 1 } } });
  for (const text of numbers(10)) await all.send(text);
  await until(() => all.server.got.length === 20);
  assertEquals(all.server.got, numbers(10).flatMap((n) => [n, n]));
  const { duplicated, sent } = all.link.counts.up;
  assertEquals([duplicated, sent], [10, 20]);
});

Deno.test("reordering lets the next one overtake, and one that nobody overtakes goes on after a while", async () => {
  const clock = new FakeClock();
  await using all = await through({ clock, faults: { reorder: 1, reorderWait: 70 } });
  for (const text of numbers(5)) await all.send(text);
  await until(() => all.server.got.length === 4);
  assertEquals([all.server.got, all.link.counts.up.reordered], [["1", "0", "3", "2"], 2]);
  clock.tick(69);
  assertEquals(all.link.counts.up.sent, 4);
  clock.tick(1);
  await until(() => all.server.got.length === 5);
  assertEquals([all.server.got.at(-1), all.link.counts.up.reordered], ["4", 2]);
});

Deno.test("each datagram has its own delay, by which jitter reorders them", async () => {
  const clock = new FakeClock();
  await using all = await through({ clock, seed: 2, faults: { latency: 100, jitter: 100 } });
  for (const text of numbers(50)) await all.send(text);
  clock.tick(99);
  assertEquals(all.link.counts.up.sent, 0);
  clock.tick(101);
  await until(() => all.server.got.length === 50);
  assertEquals(all.server.got.toSorted((a, b) => Number(a) - Number(b)), numbers(50));
  assert(all.server.got.join() !== numbers(50).join());
});

Deno.test("in a black hole datagrams are lost for good, in one direction or in both", async () => {
  await using all = await through({ faults: { down: { silent: true } } });
  await all.send("up");
  await until(() => all.server.got.length === 1);
  await all.server.send("down", all.server.from[0] ?? 0);
  await until(() => all.link.counts.down.lost === 1);
  all.link.setFaults({ silent: true });
  await all.send("gone");
  all.link.setFaults({});
  await all.send("here");
  await until(() => all.server.got.length === 2);
  assertEquals([all.server.got, all.client.got], [["up", "here"], []]);
});

Deno.test("no more than so many datagrams are on the way, and closing forgets them", async () => {
  const clock = new FakeClock();
  await using all = await through({ clock, faults: { latency: 1000 } });
  for (const text of numbers(1030)) await all.send(text);
  assertEquals([clock.pending, all.link.counts.up.lost], [1024, 6]);
  await all.link.close();
  assertEquals(clock.pending, 0);
  await all.link.close();
});

Deno.test("faults that make no sense are refused", async () => {
  await assertRejects(
    () => startUdpChaosLink({ target: "127.0.0.1:9", faults: { loss: 2 } }),
    RangeError,
    "loss must be from 0 to 1, got 2",
  );
  await using link = await startUdpChaosLink({ target: "127.0.0.1:9" });
  assertThrows(
    () => link.setFaults({ up: { jitter: NaN } }),
    RangeError,
    "jitter must be 0 or more, got NaN",
  );
});
