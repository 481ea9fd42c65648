/** A path that loses packets: what it costs, and what asking twice saves. */

import { assert, assertEquals } from "@std/assert";
import { dial } from "../../recover/dial.ts";
import { hedge } from "../../recover/hedge.ts";
import { requires, scale } from "../_require.ts";
import { ADDRESS, TwoHosts } from "./_two_hosts.ts";

/** The kernel sends again after this many milliseconds at the earliest (RTO_MIN), so a lost packet shows by that. */
const AGAIN = 200;

const WORD = new TextEncoder().encode("hello");

/** Asks over a connection of its own, and waits for the answer. */
async function ask(port: number, signal?: AbortSignal): Promise<void> {
  const { conn } = await dial({ hostname: ADDRESS.server.v4, port }, { signal });
  let open = true;
  const cut = (): void => {
    if (open) conn.close();
    open = false;
  };
  signal?.addEventListener("abort", cut, { once: true });
  try {
    await conn.write(WORD);
    const buffer = new Uint8Array(WORD.length);
    let count = 0;
    while (count < WORD.length) count += await conn.read(buffer) ?? WORD.length;
  } finally {
    signal?.removeEventListener("abort", cut);
    cut();
  }
}

/** How many of some exchanges waited for a packet that was sent again. */
async function slow(count: number, exchange: () => Promise<void>): Promise<number> {
  let found = 0;
  for (let n = 0; n < count; n++) {
    const began = performance.now();
    await exchange();
    if (performance.now() - began >= AGAIN) found++;
  }
  return found;
}

Deno.test({
  name:
    "packet-loss: one packet in fifteen makes exchanges wait for a fifth of a second, hedge() hides most of it",
  ...requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl"] }),
  async fn() {
    await using lab = await TwoHosts.make();
    const { port } = await lab.serve({ fault: { fault: { type: "echo" } } });
    const count = scale(60, 300);
    assertEquals(await slow(10, () => ask(port)), 0, "without loss nothing waits");
    // Every fifteenth, so that the same happens in each run.
    await using _loss = await lab.filter("router", "forward", "meta l4proto tcp numgen inc mod 15 == 0 drop");
    const plain = await slow(count, () => ask(port));
    assert(plain >= count / 20, `${plain} of ${count} exchanges were slow`);
    const policy = hedge({ delay: 40, maxHedges: 3, idempotent: true });
    const hedged = await slow(count, () => policy.execute(({ signal }) => ask(port, signal)));
    assert(
      hedged <= plain / 2,
      `${hedged} of ${count} hedged exchanges were slow, of the plain ones ${plain}`,
    );
  },
});
