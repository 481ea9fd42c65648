import { assertEquals, assertRejects } from "@std/assert";
import { MessageQueue } from "./_message_queue.ts";

const bytes = (...numbers: readonly number[]): Uint8Array<ArrayBuffer> => new Uint8Array(numbers);

Deno.test("messages come out as they came in, whether they or the reader came first", async () => {
  const queue = new MessageQueue();
  const count = 3000;
  for (let n = 0; n < count; n++) queue.push(bytes(n >> 8, n & 255));
  for (let n = 0; n < count; n++) assertEquals(await queue.read(), bytes(n >> 8, n & 255));
  assertEquals(queue.size, 0);
  const reading = queue.read();
  queue.push(bytes(7));
  assertEquals([await reading, queue.size], [bytes(7), 0]);
});

Deno.test("an empty message takes room too", () => {
  const queue = new MessageQueue();
  for (let n = 0; n < 100; n++) queue.push(bytes());
  assertEquals(queue.size >= 100, true);
});

Deno.test("what waits is read before the end, and the end is one for all who come later", async () => {
  const queue = new MessageQueue();
  queue.push(bytes(1));
  queue.end();
  queue.end({ error: new Error("too late") });
  queue.push(bytes(2));
  assertEquals([await queue.read(), await queue.read(), await queue.read()], [bytes(1), null, null]);

  const broken = new MessageQueue();
  broken.push(bytes(1));
  broken.end({ error: new Error("broken") });
  assertEquals(await broken.read(), bytes(1));
  for (let n = 0; n < 2; n++) await assertRejects(() => broken.read(), Error, "broken");
});

Deno.test("clearing forgets what waits, and settles the one who does", async () => {
  const queue = new MessageQueue();
  queue.push(bytes(1));
  queue.clear(new Error("closed"));
  assertEquals(queue.size, 0);
  await assertRejects(() => queue.read(), Error, "closed");
  const waiting = new MessageQueue();
  const reading = assertRejects(() => waiting.read(), Error, "closed");
  waiting.clear(new Error("closed"));
  await reading;
});

Deno.test("whoever fills it hears of each one who asks", async () => {
  let asked = 0;
  const queue = new MessageQueue(() => asked++);
  queue.push(bytes(1));
  await queue.read();
  const reading = queue.read();
  queue.push(bytes(2));
  await reading;
  assertEquals(asked, 2);
});
