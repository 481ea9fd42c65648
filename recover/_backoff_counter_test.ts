import { assertEquals } from "@std/assert";
import { fakeNetwork } from "../testing/fake_network.ts";
import { watchNetwork } from "../watch/watch.ts";
import { BackoffCounter } from "./_backoff_counter.ts";
import { exponential } from "./backoff.ts";
import type { FailureKind } from "./failure.ts";

async function setup() {
  const network = fakeNetwork();
  network.setInterface("wlan0");
  const watcher = await watchNetwork({ source: network.source });
  const join = (gateway: string, address: string): void =>
    network.change(() => {
      network.setAddress("wlan0", address);
      network.setDefaultRoute(4, { interface: "wlan0", gateway });
    });
  join("192.168.1.1", "192.168.1.23/24");
  const counter = new BackoffCounter(exponential({ jitter: "none" }), watcher, Math.random);
  return {
    network,
    counter,
    join,
    fail: (...kinds: FailureKind[]) =>
      kinds.map((kind) => {
        counter.begin();
        counter.failed(kind);
        return counter.next();
      }),
    [Symbol.asyncDispose]: () => watcher[Symbol.asyncDispose](),
  };
}

Deno.test("the same network that came back is no reason to begin the back-off again", async () => {
  await using t = await setup();
  assertEquals(t.fail("refused", "refused"), [250, 500]);
  t.network.setDefaultRoute(4, null);
  t.join("192.168.1.1", "192.168.1.23/24");
  t.counter.resume();
  assertEquals(t.fail("refused"), [1000]);
});

Deno.test("another network is", async () => {
  await using t = await setup();
  assertEquals(t.fail("refused", "refused"), [250, 500]);
  t.network.setDefaultRoute(4, null);
  t.network.removeAddress("wlan0", "192.168.1.23/24");
  t.join("10.0.0.1", "10.0.0.9/8");
  t.counter.resume();
  assertEquals(t.fail("refused", "refused"), [250, 500]);
  t.counter.resume();
  assertEquals(t.fail("refused"), [1000]);
});

Deno.test("failures for want of a network do not count when it is back, unless there were others", async () => {
  await using t = await setup();
  assertEquals(t.fail("offline", "offline"), [250, 500]);
  t.counter.resume();
  assertEquals(t.fail("offline", "refused", "offline"), [250, 500, 1000]);
  t.counter.resume();
  assertEquals(t.fail("refused"), [2000]);
});

Deno.test("the first attempt's network is the one in which it failed", async () => {
  await using t = await setup();
  t.counter.failed("refused");
  assertEquals(t.counter.next(), 250);
  t.join("10.0.0.1", "10.0.0.9/8");
  t.counter.resume();
  assertEquals(t.counter.next(), 250);
});
