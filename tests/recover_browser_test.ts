/** `recover` where there is no `Deno`, as in a browser. */

import { assertEquals } from "@std/assert";
import { runCode } from "./_code.ts";

Deno.test("without Deno policies work, and what needs sockets says so at once", async () => {
  const { code, stdout, stderr } = await runCode(
    `
    const { log } = console;
    Reflect.deleteProperty(globalThis, "Deno");
    const recover = await import("#/recover/mod.ts");
    const { breaker, browserNetwork, classify, compose, constant, dial, ready, retry, serve, timeout } = recover;
    const page = new EventTarget();
    const navigator = { onLine: true };
    using network = browserNetwork(page, navigator);
    const again = retry({ network, backoff: constant(1), idempotent: true, wakeSpread: 0 });
    const policy = compose(again, breaker({ network }), timeout(5000));
    log(await policy.execute(({ attempt }) => {
      if (attempt === 1) return "back";
      navigator.onLine = false;
      page.dispatchEvent(new Event("offline"));
      setTimeout(() => {
        navigator.onLine = true;
        page.dispatchEvent(new Event("online"));
      });
      throw new TypeError("Failed to fetch");
    }));
    log(classify(new TypeError("Failed to fetch")).kind);
    const target = "a.test:1";
    for (const use of [() => dial(target), () => ready(network, { target }), async () => serve(() => new Response())]) {
      await use().catch(({ code, message }) => log(code, message));
    }
    `,
    { flags: ["--no-prompt", "--allow-import", "--allow-read"] },
  );
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    "back",
    "unreachable",
    "unsupported Cannot dial: this runtime has no sockets",
    "unsupported Cannot connect to a.test:1: this runtime has no sockets",
    "unsupported Cannot serve: this runtime has no sockets",
    "",
  ]);
});
