/** `recover` under exactly the permissions that it documents, and what is said where they are missing. */

import { flagsOf } from "../internal/permissions.ts";
import { permissions } from "@holdfast/net/recover";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCode } from "./_code.ts";
import config from "../deno.json" with { type: "json" };

/** Code that uses one part of the module, and tells what came of it. */
const PARTS: Readonly<Record<string, string>> = {
  policies: `
    import { breaker, budget, classify, compose, constant, fallback, hedge, heartbeat, limit, loopLag, retry,
      supervise, suspendWatchdog, timeout } from "#/recover/mod.ts";
    const shared = budget();
    const policy = compose(
      fallback(() => "instead"), limit({ concurrency: 2 }), retry({ backoff: constant(1), budget: shared, maxAttempts: 2 }),
      breaker(), hedge({ delay: 1000, idempotent: true, budget: shared }), timeout(1000),
    );
    console.log(await policy.execute(() => { throw new Deno.errors.ConnectionRefused("no"); }));
    console.log(classify(new Deno.errors.TimedOut("x"), { operation: "connect" }).kind);
    using beat = heartbeat({ ping: () => Promise.resolve() });
    using lag = loopLag();
    using watchdog = suspendWatchdog();
    await using task = supervise("task", () => Promise.resolve());
    console.log((await task.done).type, beat.status);`,
  dial: `
    import { dial, ready } from "#/recover/mod.ts";
    const { conn, address } = await dial(TARGET);
    conn.close();
    console.log(address, (await ready(undefined, { target: TARGET, timeout: 5000 })).ready);`,
  servers: `
    import { acceptLoop, serve } from "#/recover/mod.ts";
    await using loop = acceptLoop(Deno.listen({ hostname: "127.0.0.1", port: 0 }), () => Promise.resolve());
    await using server = serve(() => new Response("hello"), { hostname: "127.0.0.1", port: 0, onListen() {} });
    console.log(await (await fetch("http://127.0.0.1:" + server.addr.port)).text());`,
  "local-address": `
    import { heartbeat } from "#/recover/mod.ts";
    using beat = heartbeat({ ping: () => new Promise(() => {}), localAddress: "192.0.2.99", interval: 60000 });
    const { promise, resolve } = Promise.withResolvers();
    const timer = setTimeout(resolve, 20000);
    beat.signal.addEventListener("abort", resolve);
    await promise;
    clearTimeout(timer);
    console.log(beat.signal.reason.reason);`,
};

const EXPECTED: Readonly<Record<string, string>> = {
  policies: "instead\ntimeout\nstopped alive\n",
  dial: "127.0.0.1 true\n",
  servers: "hello\n",
  "local-address": "address-gone\n",
};

Deno.test("each part of recover works with exactly the flags that the module names for it", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const connection of listener) connection.close();
  })();
  const target = `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  assertEquals(permissions.backends.map(({ backend }) => backend).sort(), Object.keys(PARTS).sort());
  for (const { backend, needs } of permissions.backends) {
    const flags = flagsOf(needs);
    const code = (PARTS[backend] ?? "").replaceAll("TARGET", JSON.stringify(target));
    const result = await runCode(code, { flags: ["--no-prompt", ...flags] });
    assertEquals([result.code, result.stdout, result.stderr], [0, EXPECTED[backend], ""], backend);
  }
  listener.close();
  await accepting;
});

Deno.test("dial() and ready() without permission name the flag, and ask nobody", async () => {
  for (const call of [`dial("127.0.0.1:9")`, `ready(undefined, { target: "127.0.0.1:9", timeout: 5000 })`]) {
    const { code, stdout } = await runCode(
      `
      import { dial, PermissionError, ready } from "#/recover/mod.ts";
      try {
        await ${call};
      } catch (error) {
        const cause = error instanceof PermissionError ? error : error.cause ?? error;
        console.log(error.name, (error.flags ?? cause.flags ?? []).join(" "), error.message);
      }`,
      { flags: ["--no-prompt"] },
    );
    assertEquals(code, 0);
    assertStringIncludes(stdout, "--allow-net=127.0.0.1:9", call);
  }
});

Deno.test("the permission set of deno.json is what the module needs at its best", () => {
  const { needs, wants } = permissions.backends.find(({ backend }) => backend === "dial") ??
    { needs: [], wants: [] };
  assertEquals(flagsOf([...needs, ...wants]), ["--allow-net", "--allow-read=/etc/hosts"]);
  assertEquals(config.permissions.recover, { net: true, read: ["/etc/hosts"] });
});
