/** The readiness gate in the Windows build of Deno, under Wine. */

import { assertEquals } from "@std/assert";
import { requires } from "../_require.ts";
import { type Founding, foundingFailure } from "../_windows_gate.ts";
import { told, WINE_TOOLS } from "./_wine.ts";

interface ReadyTold {
  readonly os: string;
  readonly founding: Founding;
  readonly knock: string;
  readonly reached: boolean;
}

Deno.test({
  name: "the gate waits under Windows as it does here, and its tools reach the outside",
  ...requires({ os: ["linux"], tools: WINE_TOOLS }),
  async fn() {
    const { os, founding, knock, reached } = await told<ReadyTold>("ready.ts");
    assertEquals<unknown>(founding, JSON.parse(JSON.stringify(await foundingFailure())));
    assertEquals([founding.neighbour, founding.report.ready], ["unresolved", true]);
    assertEquals([os, knock, reached], ["windows", "answered", true]);
  },
});
