/** `holdfast pipe` as a process, with foreign programs at the other end. */

import { assert, assertEquals } from "@std/assert";
import { makeTestAuthority } from "../testing/certificates.ts";
import { denoArgs } from "./_cli.ts";
import { eventually } from "./_child.ts";
import { requires } from "./_require.ts";

const SIZE = 3_000_000;

/** Bytes of all values, none of them text on purpose. */
const BYTES = new Uint8Array(SIZE).map((_, at) => (at * 31 + (at >> 9)) % 256);

interface Ended {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

/** A program that runs; disposing it ends it, however it stands. */
interface Program extends AsyncDisposable {
  readonly ended: Promise<Ended>;
  /** Resolves with the first group of what it has written to standard error, as soon as it has. */
  said(text: RegExp): Promise<string>;
}

/** Starts a program; its input ends after these bytes, or never. */
function start(command: string, args: readonly string[], input: Uint8Array | "open"): Program {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { NO_COLOR: "1", PYTHONUNBUFFERED: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const writer = child.stdin.getWriter();
  // A program that has ended reads no more, which is told by its exit code.
  const typing = input === "open"
    ? undefined
    : writer.write(input).then(() => writer.close()).catch(() => {});
  let stderr = "";
  const listening = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) stderr += text;
  })();
  const reading = new Response(child.stdout).bytes();
  const ended = (async (): Promise<Ended> => {
    const { code } = await child.status;
    clearTimeout(limit);
    await typing;
    if (input === "open") await writer.close().catch(() => {});
    const stdout = await reading;
    await listening;
    return { code, stdout, stderr };
  })();
  return {
    ended,
    async said(text) {
      await eventually(`${command} to say ${text}`, () => text.test(stderr));
      return text.exec(stderr)?.[1] ?? "";
    },
    async [Symbol.asyncDispose]() {
      // Without effect where it has ended.
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      await ended;
    },
  };
}

function holdfast(args: readonly string[], input: Uint8Array | "open"): Program {
  return start(Deno.execPath(), denoArgs(["pipe", ...args], ["--allow-all"]), input);
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name: "megabytes go to socat and back, each direction with its own end",
  ...requires({ tools: ["socat"] }),
  async fn() {
    const port = freePort();
    const folder = await Deno.makeTempDir();
    try {
      for (
        const [address, url] of [
          [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr`, `tcp://127.0.0.1:${port}`],
          [`UNIX-LISTEN:${folder}/sock`, `unix:${folder}/sock`],
        ] as const
      ) {
        // What it gets goes to cat, and what cat says back; the end of the one is the end of the other.
        await using socat = start("socat", ["-d", "-d", "-t", "20", address, "EXEC:cat"], "open");
        await socat.said(/listening on/);
        await using client = holdfast([url], BYTES);
        const { code, stdout, stderr } = await client.ended;
        assertEquals([code, stderr, stdout.length], [0, "", SIZE]);
        assert(same(stdout, BYTES));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "socat as a client gets what is piped to it, and its own end comes through",
  ...requires({ tools: ["socat"] }),
  async fn() {
    const port = freePort();
    await using server = holdfast(
      ["--listen", `tcp://127.0.0.1:${port}`, "--json"],
      new Uint8Array([1, 2, 3]),
    );
    await using client = start(
      "socat",
      ["-t", "20", "-", `TCP:127.0.0.1:${port},retry=100,interval=0.05`],
      new TextEncoder().encode("hello from socat"),
    );
    const [there, here] = await Promise.all([client.ended, server.ended]);
    assertEquals([there.code, [...there.stdout], here.code, here.stderr], [0, [1, 2, 3], 0, ""]);
    const lines = new TextDecoder().decode(here.stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ type }) => type), ["listening", "up", "message", "pipe"]);
    assertEquals(lines[2].text, "hello from socat");
  },
});

const ASYNCIO = `
import asyncio, sys
async def serve(reader, writer):
    size = int.from_bytes(await reader.readexactly(4), "big")
    message = await reader.readexactly(size)
    writer.write((size * 2).to_bytes(4, "big") + message + message)
    await writer.drain()
    assert await reader.read() == b""
    writer.write_eof()
    writer.close()
    server.close()
async def main():
    global server
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], file=sys.stderr)
    try:
        await server.serve_forever()
    except asyncio.CancelledError:
        pass
asyncio.run(main())
`;

Deno.test({
  name: "messages by length are those of a server in Python",
  ...requires({ tools: ["python3"] }),
  async fn() {
    await using server = start("python3", ["-c", ASYNCIO], "open");
    const port = await server.said(/^(\d+)\n/);
    await using client = holdfast(
      ["--framing", "length", `tcp://127.0.0.1:${port}`],
      new TextEncoder().encode("grüße\n"),
    );
    const { code, stdout, stderr } = await client.ended;
    assertEquals([code, stderr, new TextDecoder().decode(stdout)], [0, "", "grüßegrüße\n"]);
  },
});

Deno.test({
  name: "openssl speaks TLS with it at either end, and a stranger's certificate is refused",
  ...requires({ os: ["linux"], tools: ["openssl"] }),
  async fn() {
    const authority = await makeTestAuthority();
    const { cert, key } = await authority.issue();
    const folder = await Deno.makeTempDir();
    try {
      for (const [name, text] of Object.entries({ cert, key, ca: authority.cert })) {
        await Deno.writeTextFile(`${folder}/${name}.pem`, text);
      }
      const files = (...names: readonly string[]): string[] =>
        names.flatMap((
          name,
        ) => [name, `${folder}/${name === "-CAfile" ? "ca" : name.replace(/^-+/, "")}.pem`]);
      {
        const port = freePort();
        // Sends the lines that it gets back, each of them reversed.
        const args = [
          "s_server",
          "-quiet",
          "-rev",
          "-accept",
          `127.0.0.1:${port}`,
          ...files("-cert", "-key"),
        ];
        await using _server = start("openssl", args, "open");
        await eventually("openssl to listen", () => isListening(port));
        const url = `tls://127.0.0.1:${port}`;
        await using refused = holdfast([url], "open");
        const { code, stderr } = await refused.ended;
        assertEquals([code, /certificate/i.test(stderr)], [1, true], stderr);
        await using client = holdfast(
          [url, ...files("--ca"), "--framing", "lines", "--linger", "3s"],
          new TextEncoder().encode("abc\n"),
        );
        assertEquals(new TextDecoder().decode((await client.ended).stdout), "cba\n");
      }
      {
        const port = freePort();
        await using server = holdfast(
          ["--listen", `tls://127.0.0.1:${port}`, ...files("--cert", "--key")],
          BYTES,
        );
        await eventually("holdfast to listen", () => isListening(port));
        await using client = start("openssl", [
          "s_client",
          "-quiet",
          "-verify_return_error",
          "-connect",
          `127.0.0.1:${port}`,
          ...files("-CAfile"),
        ], "open");
        const { stdout } = await client.ended;
        assert(same(stdout, BYTES), `${stdout.length} of ${SIZE}`);
        assertEquals((await server.ended).stdout.length, 0);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "a lost connection ends the process, although nobody has ended its input",
  ...requires({ os: ["linux", "darwin"] }),
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await using client = holdfast([`tcp://127.0.0.1:${listener.addr.port}`, "--framing", "length"], "open");
    const conn = await listener.accept();
    // A message longer than any may be.
    await conn.write(new Uint8Array([255, 255, 255, 255]));
    const { code, stderr } = await client.ended;
    conn.close();
    assertEquals([code, /4294967295 bytes was announced/.test(stderr)], [1, true], stderr);
  },
});

/** Whether somebody listens on a port, without asking him. */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return new RegExp(`:${hex} [0-9A-F]{8}:0000 0A`).test(Deno.readTextFileSync("/proc/net/tcp"));
}
