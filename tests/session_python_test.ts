/** The session protocol's second implementation, in Python: it is tested before ours is held to it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { eventually } from "./_child.ts";
import { requires } from "./_require.ts";
import { type PeerLine, PYTHON, startSessionPeer } from "./_session_peer.ts";

/** What decrypt.py has said. */
interface Decrypted {
  readonly code: number;
  readonly stdout: string;
  readonly lines: readonly PeerLine[];
}

const FOLDER = new URL("session_peer/", import.meta.url);

/** How many tests each file has: one that nobody runs is found out. */
const SUITES = { "test_session.py": 34, "test_vectors.py": 2, "test_peer.py": 9 };

for (const [file, count] of Object.entries(SUITES)) {
  Deno.test({
    name: `the Python implementation of sessions passes its own ${file}`,
    ...requires({ tools: ["python3"] }),
    async fn() {
      const child = new Deno.Command(PYTHON, {
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

Deno.test({
  name: "what tcpdump has recorded of a sealed session is read with the key log of an end, and not without",
  ...requires({ os: ["linux"], root: true, tools: ["python3", "tcpdump"] }),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const seal = ["--sealed", "--shared-key", "07".repeat(32)];
      const [file, log] = [`${folder}/session.pcap`, `${folder}/keys.jsonl`];
      await using server = startSessionPeer(["--listen", "127.0.0.1:0", "--echo", ...seal]);
      const { address } = await server.until("listening");
      assert(typeof address === "string");
      const recorder = await startTcpdump(file, address.replace(/.*:/, ""));
      await using client = startSessionPeer([
        ...["--connect", address, "--send", "300000", "--cut", "200000"],
        ...[...seal, "--key-log", log],
      ]);
      assertEquals((await client.until("end")).resumes, 1);
      const read = (): Promise<Decrypted> => decrypt(["--pcap", file, ...seal.slice(1), "--key-log", log]);
      // The recorder gets its packets a little later than those who talk.
      await eventually("the end to be recorded", async () => (await read()).stdout.includes('"FIN"'));
      await recorder.stop();
      const good = await read();
      assertEquals(good.code, 0, good.stdout);
      const types = good.lines.map(({ type }) => type);
      for (const type of ["HELLO", "WELCOME", "RESUME", "RESUMED", "DATA", "FIN"]) {
        assert(types.includes(type), type);
      }
      assertEquals(
        await decrypt(["--pcap", file, ...seal.slice(1)]).then(({ code, lines }) => [code, lines]),
        [
          1,
          [0, 1].map((carrier) => ({
            carrier,
            type: "error",
            reason: "the X25519 key of neither end is in the key log",
          })),
        ],
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Records what goes over a TCP port of this machine; `stop()` resolves when all of it is in the file. */
async function startTcpdump(file: string, port: string): Promise<{ stop(): Promise<void> }> {
  // As this user: the one that it changes to must not write into the folder.
  const quick = ["-U", "--immediate-mode", "--buffer-size=65536", "--snapshot-length=70000"];
  const args = ["-i", "lo", "-w", file, ...quick, "-Z", "root", "tcp", "port", port];
  const child = new Deno.Command("tcpdump", { args, stdout: "null", stderr: "piped" }).spawn();
  const output = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  const until = async (text: string): Promise<void> => {
    while (!said.includes(text)) {
      const { done, value } = await output.read();
      if (done) throw new Error(`Cannot record: tcpdump said ${said}`);
      said += value;
    }
  };
  await until("listening on");
  return {
    stop: async () => {
      child.kill("SIGINT");
      await until("dropped by kernel");
      await output.cancel();
      await child.status;
      assertMatch(said, /^0 packets dropped/m);
    },
  };
}

/** Runs decrypt.py. */
async function decrypt(args: readonly string[]): Promise<Decrypted> {
  const child = new Deno.Command(PYTHON, {
    args: ["decrypt.py", ...args],
    cwd: FOLDER,
    stderr: "inherit",
  });
  const { code, stdout } = await child.output();
  const text = new TextDecoder().decode(stdout);
  return { code, stdout: text, lines: text.trimEnd().split("\n").map((line) => JSON.parse(line)) };
}
