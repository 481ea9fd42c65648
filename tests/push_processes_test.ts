/** Connections pushed to other processes while their data is on its way. */

import { assert, assertEquals } from "@std/assert";
import { pushTo } from "../pipes/push/push.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { cross, type Crossed, FRONTS, startWorker } from "./_push_crossing.ts";
import { requires, scale } from "./_require.ts";

const linux = { ignore: Deno.build.os !== "linux" };

function failures(results: readonly Crossed[]): readonly Crossed[] {
  return results.filter(({ by }) => typeof by === "string");
}

for (const kind of ["deno", "python"] as const) {
  Deno.test({
    ...(kind === "python" ? requires({ tools: ["python3"], os: ["linux"] }) : linux),
    name: `no connection that is pushed to ${kind} is lost, and no byte of one`,
  }, async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
    try {
      const path = `${directory}/worker`;
      await using worker = await startWorker(kind, path);
      await using channel = await pushTo(path, { plain: kind === "python" });
      // What the runtime loads and keeps at the first use.
      await cross(channel, { count: FRONTS.length, fronts: FRONTS });
      const before = countDescriptors();
      const count = scale(400, 10_000);
      const results = await cross(channel, { count, fronts: FRONTS });
      assertEquals(failures(results), []);
      assertEquals(results.length, count);
      assert(results.every(({ by }) => by === worker.pid));
      assertEquals(await settledCount(before), before);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test({
  ...linux,
  name: "a receiver that is killed with connections in flight loses none, and none is served twice",
}, async () => {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  try {
    const [first, second] = [`${directory}/first`, `${directory}/second`];
    // Takes twenty, and then none: what comes after is in flight until it is killed.
    await using one = await startWorker("deno", first, "20");
    await using channel = await pushTo([first, second], { timeout: 60_000 });
    const served = await cross(channel, { count: 20, fronts: ["conn"], most: 1000 });
    assertEquals(failures(served), []);
    await one.line();
    await using two = await startWorker("deno", second);
    const count = scale(100, 1000);
    const crossing = cross(channel, { count: 2 * count, fronts: ["conn", "pipe-read"], atOnce: 2 * count });
    // The other one serves what it gets, and the rest waits.
    await one.line();
    await one.kill();
    const results = await crossing;
    assertEquals(failures(results), []);
    assertEquals(results.length, 2 * count);
    assert(results.every(({ by }) => by === two.pid));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
