import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { runCode } from "../tests/_code.ts";
import { HoldfastError } from "./errors.ts";
import { browserNetwork, type NetworkViewEvent } from "./network_view.ts";

/** A browser whose network a test switches. */
class Page extends EventTarget {
  readonly navigator = { onLine: true };
  listeners = 0;

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...args);
  }

  go(onLine: boolean): void {
    this.navigator.onLine = onLine;
    this.dispatchEvent(new Event(onLine ? "online" : "offline"));
  }
}

Deno.test("browserNetwork() begins with what the navigator says, and follows the page's events", () => {
  const page = new Page();
  page.navigator.onLine = false;
  using network = browserNetwork(page, page.navigator);
  assertEquals([network.state.online, network.state.families], [false, []]);
  page.go(true);
  assertEquals([network.state.online, network.state.families], [true, [4, 6]]);
  page.go(false);
  assertEquals([network.state.online, network.state.families], [false, []]);
  assertEquals(network.state.interfaces, []);
  assertEquals(network.state.defaultRoute, { v4: null, v6: null });
});

Deno.test("browserNetwork() takes a navigator that does not say to be online", () => {
  using network = browserNetwork(new Page(), {});
  assert(network.state.online);
});

Deno.test("browserNetwork() tells each family's event, then the change; going online is an advised one", () => {
  const page = new Page();
  using network = browserNetwork(page, page.navigator);
  const events: NetworkViewEvent[] = [];
  using _ = network.subscribe((event) => {
    // Whoever is told already finds the new state.
    assertEquals(network.state.online, page.navigator.onLine);
    events.push(event);
  });
  const before = network.state;
  page.go(false);
  const between = network.state;
  page.go(true);
  const offline = { type: "offline", at: between.at, families: [] } as const;
  const online = { type: "online", at: network.state.at, families: [4, 6] } as const;
  assertEquals(events, [
    { ...offline, family: 4 },
    { ...offline, family: 6 },
    {
      type: "change",
      at: between.at,
      previous: before,
      next: between,
      major: "none",
      reasons: ["the browser is offline"],
    },
    { ...online, family: 4 },
    { ...online, family: 6 },
    {
      type: "change",
      at: online.at,
      previous: between,
      next: network.state,
      major: "advised",
      reasons: ["the browser is online"],
    },
  ]);
});

Deno.test("browserNetwork() says nothing when nothing has changed, and wake() finds what no event told", () => {
  const page = new Page();
  using network = browserNetwork(page, page.navigator);
  const types: string[] = [];
  using _ = network.subscribe((event) => types.push(event.type));
  page.go(true);
  network.wake();
  assertEquals(types, []);
  page.navigator.onLine = false;
  network.wake();
  assertEquals(types, ["offline", "offline", "change"]);
});

Deno.test("online() resolves at once when the browser is online, and else when it is", async () => {
  const page = new Page();
  using network = browserNetwork(page, page.navigator);
  await network.online();
  page.go(false);
  const waiting = [network.online(), network.online({ family: 6 }), network.online({ family: 4 })];
  page.go(true);
  await Promise.all(waiting);
});

Deno.test("online() rejects with the signal's reason, before and while it waits", async () => {
  const page = new Page();
  using network = browserNetwork(page, page.navigator);
  const reason = new RangeError("enough");
  assertStrictEquals(
    await assertRejects(() => network.online({ signal: AbortSignal.abort(reason) })),
    reason,
  );
  page.go(false);
  const controller = new AbortController();
  const waiting = network.online({ signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

Deno.test("disposing a browserNetwork() leaves no listener, says nothing more, and rejects those who wait or come later", async () => {
  const page = new Page();
  const network = browserNetwork(page, page.navigator);
  const types: string[] = [];
  network.subscribe((event) => types.push(event.type));
  page.go(false);
  const waiting = network.online();
  network[Symbol.dispose]();
  const error = await assertRejects(() => waiting, HoldfastError, "the view was closed");
  assertEquals(error.code, "closed");
  assertEquals(page.listeners, 0);
  const told = types.length;
  page.go(true);
  network.wake();
  assertEquals([types.length, network.state.online], [told, false]);
  await assertRejects(() => network.online(), HoldfastError, "the view was closed");
});

Deno.test("browserNetwork() works where there is no Deno, with the page and navigator that are global there", async () => {
  const code = `
    const { log } = console;
    const navigator = { onLine: false };
    Object.defineProperty(globalThis, "navigator", { value: navigator });
    delete globalThis.Deno;
    const { browserNetwork } = await import("#/internal/network_view.ts");
    {
      using network = browserNetwork();
      network.subscribe((event) => log(event.type));
      const waiting = network.online();
      navigator.onLine = true;
      dispatchEvent(new Event("online"));
      await waiting;
      log(network.state.online);
    }
  `;
  const result = await runCode(code, { flags: [] });
  assertEquals(result, { code: 0, stdout: "online\nonline\nchange\ntrue\n", stderr: "" });
});

Deno.test("a pending online() keeps the process alive, subscribe() does not", async () => {
  const code = (wait: string): string => `
    import { browserNetwork } from "#/internal/network_view.ts";
    const navigator = { onLine: false };
    const page = new EventTarget();
    const network = browserNetwork(page, navigator);
    network.subscribe(() => {});
    ${wait}
    Deno.unrefTimer(setTimeout(() => {
      console.log("alive");
      navigator.onLine = true;
      page.dispatchEvent(new Event("online"));
    }, 50));
  `;
  const alive = await runCode(code("network.online();"), { flags: [] });
  const idle = await runCode(code(""), { flags: [] });
  assertEquals([alive, idle], [
    { code: 0, stdout: "alive\n", stderr: "" },
    { code: 0, stdout: "", stderr: "" },
  ]);
});
