/** Listeners over the runtime's, which break in ways that the runtime's own seldom do. */

import { assertEquals, assertRejects } from "@std/assert";
import { connListener, type StreamListener } from "./_conn_listener.ts";
import type { StreamConn } from "./_conn_link.ts";

const ADDRESS = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;

/** A listener that a test drives. */
class TestListener implements StreamListener {
  readonly calls: string[] = [];
  readonly accepting = Promise.withResolvers<StreamConn>();

  accept(): Promise<StreamConn> {
    return this.accepting.promise;
  }

  close(): void {
    this.calls.push("close");
  }

  ref(): void {
    this.calls.push("ref");
  }

  unref(): void {
    this.calls.push("unref");
  }
}

Deno.test("a connection that is over before it is looked at is closed, and harms no other", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  let broken = true;
  const links = connListener(listener, {
    address: { ...ADDRESS, port },
    prepare: () => {
      // What setting an option of a socket gives whose other end has reset it, on some systems.
      if (broken) throw new Deno.errors.InvalidData("Invalid argument (os error 22)");
    },
  });
  using first = await Deno.connect({ hostname: "127.0.0.1", port });
  const error = await assertRejects(() => links.accept(), Error, "Cannot accept: Invalid argument");
  assertEquals((error as { code?: string }).code, "ECONNABORTED");
  assertEquals(await first.read(new Uint8Array(1)), null);
  broken = false;
  using _second = await Deno.connect({ hostname: "127.0.0.1", port });
  const link = await links.accept();
  link?.abort();
  await links.close();
});

Deno.test("the address is free when close() says so: not before a pending accept is called off", async () => {
  const listener = new TestListener();
  const links = connListener(listener, { address: ADDRESS });
  const accepting = links.accept();
  let closed = false;
  const closing = links.close().then(() => closed = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  // What is waited for keeps the process alive.
  assertEquals([listener.calls, closed], [["unref", "ref", "close"], false]);
  listener.accepting.reject(new Deno.errors.BadResource("Listener has been closed"));
  assertEquals(await accepting, null);
  await closing;
  assertEquals(await links.accept(), null);
});

Deno.test("what the listener fails with is told while it is open", async () => {
  const listener = new TestListener();
  const links = connListener(listener, { address: ADDRESS });
  listener.accepting.reject(Object.assign(new Error("Too many open files"), { code: "EMFILE" }));
  await assertRejects(() => links.accept(), Error, "Too many open files");
  await links.close();
});
