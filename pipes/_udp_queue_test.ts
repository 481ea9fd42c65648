import { assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../internal/clock.ts";
import { udpAddress } from "./_udp_address.ts";
import { type Budget, DatagramQueue } from "./_udp_queue.ts";

const FROM = udpAddress("192.0.2.1", 9);

function datagram(number: number, length = 1): { data: Uint8Array<ArrayBuffer>; from: typeof FROM } {
  return { data: new Uint8Array(length).fill(number), from: FROM };
}

async function numbers(queue: DatagramQueue): Promise<readonly number[]> {
  queue.end();
  const all: number[] = [];
  for (let next = await queue.read(); next; next = await queue.read()) all.push(next.data[0] ?? -1);
  return all;
}

Deno.test("a full queue loses the oldest datagram for the newest, and counts it", async () => {
  const queue = new DatagramQueue({ messages: 3, bytes: 1000 }, systemClock);
  for (let i = 0; i < 10; i++) queue.push(datagram(i));
  assertEquals(queue.dropped, 7);
  assertEquals(await numbers(queue), [7, 8, 9]);
});

Deno.test("bytes are limited as well, and one datagram may exceed them alone", async () => {
  const queue = new DatagramQueue({ messages: 100, bytes: 10 }, systemClock);
  for (let i = 0; i < 4; i++) queue.push(datagram(i, 5));
  assertEquals(queue.dropped, 2);
  queue.push(datagram(9, 50));
  assertEquals(queue.dropped, 4);
  assertEquals(await numbers(queue), [9]);
});

Deno.test("queues share what all of them may hold; whoever has nothing to give up loses what comes", async () => {
  const budget: Budget = { used: 0, limit: 10_000 };
  const limits = { messages: 1000, bytes: 1_000_000, budget };
  const [greedy, late] = [new DatagramQueue(limits, systemClock), new DatagramQueue(limits, systemClock)];
  for (let i = 0; i < 100; i++) greedy.push(datagram(i, 1000));
  assertEquals(greedy.dropped, 93);
  late.push(datagram(1, 5000));
  assertEquals(late.dropped, 1);
  assertEquals((await numbers(greedy)).length, 7);
  assertEquals(budget.used, 0);
  late.push(datagram(2, 5000));
  assertEquals(await numbers(late), [2]);
});

Deno.test("empty datagrams are not free", () => {
  const budget: Budget = { used: 0, limit: 10_000 };
  const queue = new DatagramQueue({ messages: 1_000_000, bytes: 1_000_000, budget }, systemClock);
  for (let i = 0; i < 1000; i++) queue.push(datagram(0, 0));
  assertEquals(queue.dropped, 961);
  queue.fail(new Error("over"));
  assertEquals(budget.used, 0);
});

Deno.test("the end comes after what waits, a failure instead of it", async () => {
  const ended = new DatagramQueue({ messages: 9, bytes: 99 }, systemClock);
  const pending = ended.read();
  ended.push(datagram(1));
  ended.push(datagram(2));
  assertEquals((await pending)?.data[0], 1);
  assertEquals(await numbers(ended), [2]);
  ended.push(datagram(3));
  assertEquals(await ended.read(), null);
  const failed = new DatagramQueue({ messages: 9, bytes: 99 }, systemClock);
  const waiting = failed.read();
  failed.fail(new Error("over"));
  await assertRejects(() => waiting, Error, "over");
  await assertRejects(() => failed.read(), Error, "over");
});
