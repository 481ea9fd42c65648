/** `holdfast pipe`: whom it lets in, and whom it lets go. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { main } from "../cli/main.ts";
import { eventually } from "./_child.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";

const local = { hostname: "127.0.0.1", port: 0 } as const;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("one that listens for one connection refuses the next, while the first one talks", async () => {
  const [stdin, stdout, stderr] = [new TextSource(), new TextSink(), new TextSink()];
  const code = main(["pipe", "--listen", "tcp://127.0.0.1:0", "--json"], { stdin, stdout, stderr });
  await stdout.has("\n");
  const port = Number(new URL(JSON.parse(stdout.text).urls[0]).port);
  using first = await Deno.connect({ hostname: "127.0.0.1", port });
  await first.write(bytes("hi"));
  await stdout.has('"text":"hi"');
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
  await first.closeWrite();
  stdin.end();
  assertEquals([await code, stderr.text], [0, ""]);
});

Deno.test("of two URLs one cannot be opened: the other one is let go, whichever it is", async () => {
  const gone = Deno.listen(local);
  const nowhere = `tcp://127.0.0.1:${gone.addr.port}`;
  gone.close();
  for (const turned of [false, true]) {
    using listener = Deno.listen(local);
    const urls = [`tcp://127.0.0.1:${listener.addr.port}`, nowhere];
    const running = runMain(["pipe", ...(turned ? urls.reverse() : urls), "--timeout", "1s"]);
    using conn = await listener.accept();
    let over = false;
    const end = conn.read(new Uint8Array(1)).catch((error) => error).finally(() => over = true);
    const { code, stderr } = await running;
    assertEquals(code, 1);
    assertMatch(stderr, /^holdfast: Cannot connect to tcp:.*refused/);
    await eventually("the connection to end", () => over);
    const how = await end;
    assert(how === null || how instanceof Deno.errors.ConnectionReset, String(how));
  }
});
