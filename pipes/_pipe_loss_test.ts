import { assertEquals, assertRejects } from "@std/assert";
import { BasePipe } from "./_base_pipe.ts";
import type { Link } from "./_link.ts";
import { memoryLinks } from "./_memory_link.ts";
import { lengthPrefix } from "./framing.ts";
import { PipeError } from "./pipe_error.ts";

/** A link that gives these chunks and then an end, once a write was refused. */
function refusing(error: Error, ...chunks: readonly string[]): Link {
  const refused = Promise.withResolvers<void>();
  const left = chunks.map((text) => new TextEncoder().encode(text));
  return {
    transport: "memory",
    unit: "bytes",
    halfClose: true,
    localAddress: { transport: "memory", name: "" },
    remoteAddress: { transport: "memory", name: "test" },
    async read() {
      await refused.promise;
      return left.shift() ?? null;
    },
    write() {
      refused.resolve();
      return Promise.reject(error);
    },
    closeWrite: () => Promise.resolve(),
    close: () => Promise.resolve(),
    abort: () => {},
  };
}

/** The same link, but that it fills the buffer that it is given, as those of the system do. */
function filled(link: Link): Link {
  return {
    transport: "memory",
    unit: "bytes",
    halfClose: true,
    localAddress: link.localAddress,
    remoteAddress: link.remoteAddress,
    async read(buffer) {
      const chunk = await link.read(buffer);
      if (!chunk) return null;
      buffer.set(chunk);
      return buffer.subarray(0, chunk.length);
    },
    write: (data) => link.write(data),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
    abort: () => link.abort(),
  };
}

const reset = new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)");
const broken = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");

Deno.test("the system tells a loss once: when a write has got it, the end that is read then is none", async () => {
  const pipe = new BasePipe(refusing(reset, "last words"));
  await pipe.send("x");
  assertEquals(await pipe.recv(), new TextEncoder().encode("last words"));
  const error = await assertRejects(() => pipe.recv(), PipeError);
  assertEquals([error.code, error.failure?.kind], ["lost", "reset"]);
  await assertRejects(() => pipe.closed, PipeError);
});

Deno.test("a message that breaks off after a failed write is a loss, and no fault of the other end", async () => {
  const pipe = new BasePipe(refusing(reset, "\0\0\0"), { framing: lengthPrefix() });
  await pipe.send("x");
  assertEquals((await assertRejects(() => pipe.recv(), PipeError)).code, "lost");
});

Deno.test("an other end that closed before we had sent all has ended, and what it said is read", async () => {
  const pipe = new BasePipe(refusing(broken, "too long"));
  await pipe.send("x");
  assertEquals(await pipe.recv(), new TextEncoder().encode("too long"));
  assertEquals(await pipe.recv(), null);
  const error = await assertRejects(() => pipe.send("more"), PipeError);
  assertEquals([error.code, error.failure?.code], ["lost", "EPIPE"]);
  await pipe.close();
  await pipe.closed;
});

Deno.test("a message that was read ahead is there after closing, and then the pipe is closed", async () => {
  const [near, far] = memoryLinks("test");
  const pipe = new BasePipe(near);
  await far.write(new Uint8Array([1]));
  pipe.on("end", () => {});
  while (!pipe.proven) await Promise.resolve();
  await pipe.close();
  assertEquals(await pipe.recv(), new Uint8Array([1]));
  assertEquals((await assertRejects(() => pipe.recv(), PipeError)).code, "closed");
});

Deno.test("a read that our own closing breaks off is no failure, however long closing takes", async () => {
  const [near] = memoryLinks("test");
  const slow: Link = {
    transport: "memory",
    unit: "bytes",
    halfClose: true,
    localAddress: near.localAddress,
    remoteAddress: near.remoteAddress,
    read: (buffer) => near.read(buffer),
    write: (data) => near.write(data),
    closeWrite: () => near.closeWrite(),
    async close() {
      await near.close();
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    },
    abort: () => near.abort(),
  };
  const pipe = new BasePipe(slow);
  const reading = assertRejects(() => pipe.recv(), PipeError, "it is closed");
  await pipe.close();
  await reading;
  assertEquals(pipe.state.type, "closed");
  await pipe.closed;
});

Deno.test("whoever sends and reads nothing hears of a loss behind a message, also where there may be another connection", async () => {
  const pipe = new BasePipe(refusing(reset, "last words"), {}, {
    mayReconnect: true,
    lost: () => undefined,
    ended: () => {},
  });
  await pipe.send("x");
  const error = await assertRejects(() => pipe.flush(), PipeError);
  assertEquals([error.code, error.failure?.kind], ["lost", "reset"]);
  assertEquals(await pipe.recv(), new TextEncoder().encode("last words"));
  await assertRejects(() => pipe.recv(), PipeError);
});

Deno.test("recv() puts bytes where it was told to, while nobody else has asked for them", async () => {
  const [near, far] = memoryLinks("test");
  const [mine, other] = [new Uint8Array(8), new Uint8Array(8)];
  const pipe = new BasePipe(filled(near));
  await far.write(new Uint8Array([1, 2]));
  const first = await pipe.recv({ into: mine });
  assertEquals([first?.buffer === mine.buffer, first], [true, new Uint8Array([1, 2])]);
  // Read ahead, before anybody asks: that must not touch what was handed out.
  pipe.closed.catch(() => {});
  await far.write(new Uint8Array([3]));
  const second = await pipe.recv({ into: other });
  assertEquals([second, first], [new Uint8Array([3]), new Uint8Array([1, 2])]);
  await far.write(new Uint8Array([4]));
  assertEquals(await pipe.recv({ into: new Uint8Array() }), new Uint8Array([4]));
  await pipe.close();
});

Deno.test("messages that are taken out of a stream never lie where recv() was told to", async () => {
  const [near, far] = memoryLinks("test");
  const pipe = new BasePipe(filled(near), { framing: lengthPrefix({ bytes: 1 }) });
  await far.write(new Uint8Array([1, 7, 1, 8]));
  const into = new Uint8Array(8);
  assertEquals(await pipe.recv({ into }), new Uint8Array([7]));
  assertEquals(await pipe.recv({ into }), new Uint8Array([8]));
  assertEquals(into, new Uint8Array(8));
  await pipe.close();
});
