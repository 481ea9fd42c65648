/** The signal protocol's second implementation, in Python, which knows docs/PROTOCOLS.md and nothing else, and the vectors. */

import { assertEquals, assertMatch } from "@std/assert";
import { requires } from "./_require.ts";
import { PYTHON } from "./_session_peer.ts";

Deno.test({
  name: "the Python implementation of packets says what the vectors say, and refuses what they refuse",
  ...requires({ tools: ["python3"] }),
  async fn() {
    const child = new Deno.Command(PYTHON, {
      args: ["-m", "unittest", "test_vectors.py"],
      cwd: new URL("signal_peer/", import.meta.url),
      env: { PYTHONDONTWRITEBYTECODE: "1" },
      stdout: "null",
      stderr: "piped",
    });
    const { code, stderr } = await child.output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    // One that nobody runs is found out.
    assertMatch(said, /^Ran 6 tests in .*\n\nOK\n$/m);
  },
});
