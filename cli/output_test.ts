import { assertEquals, assertRejects } from "@std/assert";
import { LineWriter, OutputClosed } from "./output.ts";

Deno.test("a line is written as a whole, also where the sink takes a few bytes at a time", async () => {
  let written = "";
  const writer = new LineWriter({
    isTerminal: () => false,
    write(bytes) {
      written += new TextDecoder().decode(bytes.subarray(0, 3));
      return Promise.resolve(Math.min(3, bytes.length));
    },
  });
  await Promise.all([writer.write("first line"), writer.write("second line")]);
  assertEquals(written, "first line\nsecond line\n");
});

Deno.test("when nobody reads any more, this and every later write say so", async () => {
  const writer = new LineWriter({
    isTerminal: () => false,
    write: () => Promise.reject(new Deno.errors.BrokenPipe("Broken pipe")),
  });
  await assertRejects(() => writer.write("a"), OutputClosed);
  await assertRejects(() => writer.write("b"), OutputClosed);
});

Deno.test("another failure of the sink is told as it is", async () => {
  const writer = new LineWriter({
    isTerminal: () => false,
    write: () => Promise.reject(new Deno.errors.WriteZero("full")),
  });
  await assertRejects(() => writer.write("a"), Deno.errors.WriteZero);
});
