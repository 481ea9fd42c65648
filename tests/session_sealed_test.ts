/** Our sealed sessions on the wire: a recording shows nothing of what was said, but to who has the key of an end. */

import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { connect } from "../pipes/connect.ts";
import { eventually } from "./_child.ts";
import { requires } from "./_require.ts";
import { type PeerLine, PYTHON, startSessionPeer } from "./_session_peer.ts";

/** What is said, over and over; none of it may be seen. */
const WORDS = { greeting: "holdfast-marker-greeting", message: "holdfast-marker-message-" } as const;

/** How often. */
const TIMES = 10_000;

interface Decrypted {
  readonly code: number;
  readonly lines: readonly PeerLine[];
}

Deno.test({
  name:
    "a recording of our sealed session shows nothing, is read with the key log of one end, and not without",
  ...requires({ root: true, tools: ["python3", "tcpdump"], os: ["linux"] }),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const [pcap, log] = [`${folder}/session.pcap`, `${folder}/keys.jsonl`];
      const key = crypto.getRandomValues(new Uint8Array(32));
      const seal = ["--sealed", "--shared-key", key.toHex()];
      await using server = startSessionPeer([
        ...["--listen", "127.0.0.1:0", "--echo", "--cut", "100000", "--key-log", log],
        ...seal,
      ]);
      const { address } = await server.until("listening");
      assert(typeof address === "string");
      const port = address.replace(/.*:/, "");
      await using recorder = await record(pcap, port);
      const { sent, received } = await talk(`resume+tcp://${address}`, key);
      assertEquals(received, sent);
      const decrypt = (...args: readonly string[]): Promise<Decrypted> =>
        run("--pcap", pcap, "--port", port, "--shared-key", key.toHex(), ...args);
      const streams = ({ lines }: Decrypted): readonly PeerLine[] =>
        lines.filter(({ type, from }) => type === "FIN" && from === "client");
      // The recorder gets its packets a little later than those who talk.
      await eventually(
        "the end to be recorded",
        async () => streams(await decrypt("--key-log", log)).length > 0,
      );
      await recorder.stop();

      const capture = new TextDecoder("latin1").decode(await Deno.readFile(pcap));
      assert(capture.length > 2 * TIMES * WORDS.message.length, `${capture.length} bytes`);
      for (const word of ["holdfast", "marker", ...Object.values(WORDS), key.toHex()]) {
        assertEquals(capture.includes(word), false, word);
      }
      assertEquals(capture.includes(String.fromCharCode(...key)), false);

      const good = await decrypt("--key-log", log);
      assertEquals(good.code, 0, JSON.stringify(good.lines.filter(({ type }) => type === "error")));
      const types = new Set(good.lines.map(({ type }) => type));
      for (const type of ["HELLO", "WELCOME", "RESUME", "RESUMED", "CONFIRM", "DATA", "FIN"]) {
        assert(types.has(type), type);
      }
      // All that was sent is there, whatever was sent twice.
      const reach = Math.max(
        ...good.lines.filter(({ type, from }) => type === "DATA" && from === "client")
          .map(({ offset, length }) => Number(offset) + Number(length)),
      );
      assertEquals(reach, sent.bytes);
      const bad = await decrypt();
      assertEquals([bad.code, bad.lines.every(({ type }) => type === "error")], [1, true]);
      const wrong = key.map((byte) => byte ^ 1);
      const other = await run(
        "--pcap",
        pcap,
        "--port",
        port,
        "--shared-key",
        wrong.toHex(),
        "--key-log",
        log,
      );
      assertEquals([other.code, other.lines.every(({ type }) => type === "error")], [1, true]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

interface Said {
  readonly bytes: number;
  readonly hash: string;
}

/** Says it, hears it back, and ends. */
async function talk(
  url: `resume+tcp://${string}`,
  key: Uint8Array,
): Promise<{ readonly sent: Said; readonly received: Said }> {
  await using pipe = await connect(url, { session: { greeting: WORDS.greeting, seal: { key } } });
  assertEquals(pipe.session.secrecy, "sealed");
  const hashes = { sent: createHash("sha256"), received: createHash("sha256") };
  const bytes = { sent: 0, received: 0 };
  const say = async (): Promise<void> => {
    for (let n = 0; n < TIMES; n++) {
      const text = WORDS.message + n;
      hashes.sent.update(text);
      bytes.sent += text.length;
      await pipe.send(text);
    }
    await pipe.closeWrite();
  };
  const saying = say();
  for await (const part of pipe.messages) {
    hashes.received.update(part);
    bytes.received += part.length;
  }
  await saying;
  assertEquals(pipe.session.resumes, 1);
  return {
    sent: { bytes: bytes.sent, hash: hashes.sent.digest("hex") },
    received: { bytes: bytes.received, hash: hashes.received.digest("hex") },
  };
}

/** Records what goes over a TCP port of this machine; `stop()` resolves when all of it is in the file. */
async function record(file: string, port: string): Promise<AsyncDisposable & { stop(): Promise<void> }> {
  const quick = ["-U", "--immediate-mode", "--buffer-size=65536", "--snapshot-length=70000"];
  const args = ["-i", "lo", "-w", file, ...quick, "-Z", "root", "tcp", "port", port];
  const child = new Deno.Command("tcpdump", { args, stdout: "null", stderr: "piped" }).spawn();
  const output = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("listening on")) {
    const { done, value } = await output.read();
    if (done) throw new Error(`Cannot record: tcpdump said ${said}`);
    said += value;
  }
  let running = true;
  const stop = async (): Promise<void> => {
    if (!running) return;
    running = false;
    child.kill("SIGINT");
    for (let next = await output.read(); !next.done; next = await output.read()) said += next.value;
    await child.status;
    assert(/^0 packets dropped/m.test(said), said);
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

/** Runs decrypt.py. */
async function run(...args: readonly string[]): Promise<Decrypted> {
  const { code, stdout } = await new Deno.Command(PYTHON, {
    args: ["decrypt.py", ...args],
    cwd: new URL("session_peer/", import.meta.url),
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout).trimEnd();
  return { code, lines: text.split("\n").map((line) => JSON.parse(line)) };
}
