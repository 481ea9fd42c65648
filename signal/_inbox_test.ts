import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeClock } from "../testing/fake_clock.ts";
import { type Delivery, Inbox } from "./_inbox.ts";
import { Message } from "./message.ts";

function delivery(text: string, done: string[], queue = "a"): Delivery {
  const data = new TextEncoder().encode(text);
  const reply = (): Promise<never> => Promise.reject(new Error("Cannot reply: nobody is there"));
  const message = new Message({ from: "anna", id: text, data, stream: 0, isRequest: false, reply });
  return { message, queue, done: () => void done.push(text) };
}

Deno.test("Inbox gives each message to its one reader, who has done with it when he comes for the next", async () => {
  const done: string[] = [];
  const inbox = new Inbox(new FakeClock(), undefined);
  inbox.push(delivery("one", done));
  const reader = inbox.read();
  assertThrows(() => inbox.read(), TypeError, "somebody else reads them already");
  assertThrows(() => inbox.handle(() => {}, {}), TypeError, "somebody else reads them already");
  assertEquals((await reader.next()).value?.text(), "one");
  assertEquals(done, []);
  const waiting = reader.next();
  assertEquals(done, ["one"]);
  await assertRejects(() => reader.next(), TypeError, "waits for the next one already");
  inbox.push(delivery("two", done));
  assertEquals((await waiting).value?.text(), "two");
  await reader.return?.();
  assertEquals(done, ["one", "two"]);
  inbox.push(delivery("three", done));
  const next = inbox.read();
  assertEquals((await next.next()).value?.text(), "three");
  inbox.end();
  assertEquals((await next.next()).done, true);
});

Deno.test("Inbox lets nothing go that waited when it is closed: who waits gets the end", async () => {
  const clock = new FakeClock();
  const inbox = new Inbox(clock, undefined);
  const waiting = inbox.read().next();
  assertEquals(clock.pending, 1);
  inbox.end();
  assertEquals((await waiting).done, true);
  assertEquals(clock.pending, 0);
});

Deno.test("Inbox keeps what a handler has not handled for the next one", async () => {
  const done: string[] = [];
  const inbox = new Inbox(new FakeClock(), undefined);
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = inbox.handle(() => promise, {});
  for (const text of ["one", "two", "three"]) inbox.push(delivery(text, done));
  first[Symbol.dispose]();
  resolve();
  // The one that was being handled is done with; the others wait.
  while (done.length === 0) await promise;
  const got: string[] = [];
  for await (const message of inbox.read()) {
    got.push(message.text());
    if (got.length === 2) break;
  }
  assertEquals([got, done], [["two", "three"], ["one", "two", "three"]]);
});

Deno.test("Inbox handles the messages of one queue one after the other, and those of others meanwhile", async () => {
  const done: string[] = [];
  const began: string[] = [];
  const gates = new Map<string, () => void>();
  const inbox = new Inbox(new FakeClock(), undefined);
  inbox.handle((message) => {
    began.push(message.text());
    return new Promise<void>((resolve) => gates.set(message.text(), resolve));
  }, {});
  inbox.push(delivery("a1", done, "a"));
  inbox.push(delivery("a2", done, "a"));
  inbox.push(delivery("b1", done, "b"));
  assertEquals(began, ["a1", "b1"]);
  gates.get("a1")?.();
  while (began.length < 3) await Promise.resolve();
  assertEquals([began, done], [["a1", "b1", "a2"], ["a1"]]);
  inbox.end();
});
