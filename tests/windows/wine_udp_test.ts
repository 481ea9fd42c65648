/** Pipes over UDP in the Windows build of Deno, under Wine. */

import { assertEquals } from "@std/assert";
import { requires } from "../_require.ts";
import { told, WINE_TOOLS } from "./_wine.ts";

Deno.test({
  name: "a port that nobody listens on ends no pipe under Windows either",
  ...requires({ os: ["linux"], tools: WINE_TOOLS }),
  async fn() {
    assertEquals(await told("udp.ts"), { os: "windows", answer: "echo:hello", state: "open" });
  },
});
