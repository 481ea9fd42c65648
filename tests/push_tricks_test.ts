/** What the runtime's inside gives, switched off one by one: the way behind it does the same. */

import { assert, assertEquals } from "@std/assert";
import { type DetachWay, withoutWay } from "../pipes/push/_detach.ts";
import { type Trick, withoutTricks } from "../pipes/push/_internals.ts";
import { pushTo } from "../pipes/push/push.ts";
import { receive } from "../pipes/push/receive.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { cross, type Front, FRONTS } from "./_push_crossing.ts";
import { serveCrossing } from "./_push_serve.ts";
import { scale } from "./_require.ts";

interface Row {
  readonly tricks?: readonly Trick[];
  readonly way?: DetachWay;
  readonly fronts?: readonly Front[];
}

/** Without handles nothing can stop a socket of Node's part that reads. */
const UNREAD: readonly Front[] = FRONTS.filter((front) => front !== "node-read");

const ROWS: readonly Row[] = [
  {},
  { tricks: ["from-rid"] },
  { tricks: ["symbol"] },
  { tricks: ["from-rid", "symbol"] },
  { tricks: ["handle"], fronts: UNREAD },
  { tricks: ["take-stream"] },
  { tricks: ["http-abort"] },
  { way: "swap" },
  { tricks: ["handle", "from-rid", "symbol", "take-stream", "http-abort", "datagram"], fronts: UNREAD },
];

for (const { tricks = [], way, fronts = FRONTS } of ROWS) {
  const without = [...tricks, ...way ? [way] : []];
  Deno.test({
    ignore: Deno.build.os !== "linux",
    name: `no connection is lost without ${without.join(", ") || "doing without anything"}`,
  }, async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
    using _tricks = withoutTricks(...tricks);
    using _way = way ? withoutWay(way) : undefined;
    try {
      const path = `${directory}/worker`;
      // The first time is for what the runtime keeps of it.
      let before = Infinity;
      for (const count of [fronts.length, scale(60, 400)]) {
        {
          await using receiver = await receive(path);
          const serving = serveCrossing(receiver);
          await using channel = await pushTo(path);
          const results = await cross(channel, { count, fronts, most: 100_000 });
          assertEquals(results.filter(({ by }) => typeof by === "string"), []);
          await channel.close();
          await receiver.close();
          await serving;
        }
        const after = await settledCount(before);
        assert(after <= before, `${before} descriptors before, ${after} after`);
        before = countDescriptors();
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
