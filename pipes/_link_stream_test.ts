import { assertEquals } from "@std/assert";
import type { Duplex } from "node:stream";
import type { Link } from "./_link.ts";
import { linkStream } from "./_link_stream.ts";
import { memoryLinks } from "./_memory_link.ts";

/** A stream over a link, its other end, and how the link was ended. */
function watched(): { readonly stream: Duplex; readonly other: Link; readonly ended: readonly string[] } {
  const [link, other] = memoryLinks("test");
  const ended: string[] = [];
  const told: Link = Object.assign(Object.create(link), {
    read: (buffer: Uint8Array<ArrayBuffer>) => link.read(buffer),
    write: (data: Uint8Array) => link.write(data),
    closeWrite: () => link.closeWrite(),
    close: () => {
      ended.push("close");
      return link.close();
    },
    abort: () => {
      ended.push("abort");
      link.abort();
    },
  });
  return { stream: linkStream(told), other, ended };
}

const closed = (stream: Duplex): Promise<void> =>
  new Promise((resolve) => stream.once("close", () => resolve()));

const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

Deno.test("what is written arrives in one piece where it is corked, and what arrives is read", async () => {
  const { stream, other } = watched();
  stream.cork();
  stream.write("head ");
  stream.write("body");
  stream.uncork();
  assertEquals(text(await other.read(new Uint8Array(100))), "head body");
  await other.write(new TextEncoder().encode("answer"));
  assertEquals(String(await new Promise((resolve) => stream.once("data", resolve))), "answer");
  stream.destroy();
  await closed(stream);
});

Deno.test("destroyed after its own end the link is closed, so that the last words arrive; before that it is cut", async () => {
  const ending = watched();
  ending.stream.end("last words");
  await new Promise<void>((resolve) => ending.stream.once("finish", () => resolve()));
  ending.stream.destroy();
  await closed(ending.stream);
  assertEquals(text(await ending.other.read(new Uint8Array(100))), "last words");
  const cut = watched();
  cut.stream.destroy();
  await closed(cut.stream);
  assertEquals([ending.ended, cut.ended], [["close"], ["abort"]]);
});

Deno.test("both directions ended, the link is closed by itself; an error of the link is one of the stream", async () => {
  const both = watched();
  both.stream.resume().end();
  await both.other.closeWrite();
  await closed(both.stream);
  const broken = watched();
  const failed = new Promise<Error>((resolve) => broken.stream.resume().once("error", resolve));
  broken.other.abort();
  assertEquals((await failed).name, "ConnectionReset");
  assertEquals([both.ended, broken.ended], [["close"], ["abort"]]);
});
