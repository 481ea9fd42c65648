/** The session protocol's second implementation, in Python: it is tested before ours is held to it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { requires } from "./_require.ts";
import { startSessionPeer } from "./_session_peer.ts";

const FOLDER = new URL("session_peer/", import.meta.url);

/** How many tests each file has: one that nobody runs is found out. */
const SUITES = { "test_session.py": 28, "test_peer.py": 7 };

for (const [file, count] of Object.entries(SUITES)) {
  Deno.test({
    name: `the Python implementation of sessions passes its own ${file}`,
    ...requires({ tools: ["python3"] }),
    async fn() {
      const child = new Deno.Command("python3", {
        args: ["-m", "unittest", file],
        cwd: FOLDER,
        env: { PYTHONDONTWRITEBYTECODE: "1" },
        stdout: "null",
        stderr: "piped",
      });
      const { code, stderr } = await child.output();
      const said = new TextDecoder().decode(stderr);
      assertEquals(code, 0, said);
      assertMatch(said, new RegExp(`^Ran ${count} tests in .*\\n\\nOK\\n$`, "m"));
    },
  });
}

Deno.test({
  name: "the Python peer echoes over a sealed session whose carriers it cuts",
  ...requires({ tools: ["python3"] }),
  async fn() {
    const seal = ["--sealed", "--shared-key", "07".repeat(32)];
    await using server = startSessionPeer(["--listen", "127.0.0.1:0", "--echo", "--cut", "150000", ...seal]);
    const { address } = await server.until("listening");
    assert(typeof address === "string");
    await using client = startSessionPeer(["--connect", address, "--send", "300000", "--keep-open", ...seal]);
    const { id } = await client.until("session");
    await client.tell({ do: "finish" });
    const end = await client.until("end");
    assertEquals([end.id, end.reason, end.received, end.intact, end.resumes], [
      id,
      "closed",
      300_000,
      true,
      1,
    ]);
    assertEquals((await server.until("end")).sha256, end.sha256);
  },
});
