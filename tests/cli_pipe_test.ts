/** `holdfast pipe` in this process, with ends of our own. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createSocket } from "node:dgram";
import { main } from "../cli/main.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { startChaosLink } from "../testing/chaos_link.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";

const local = { hostname: "127.0.0.1", port: 0 } as const;

/** A server for one connection after the other. */
function serve(handle: (conn: Deno.TcpConn) => Promise<void>): AsyncDisposable & { readonly url: string } {
  const listener = Deno.listen(local);
  const serving = (async () => {
    for await (const conn of listener) {
      using _conn = conn;
      await handle(conn);
    }
  })();
  return {
    url: `tcp://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

async function readAll(conn: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (const buffer = new Uint8Array(65_536);;) {
    const count = await conn.read(buffer);
    if (count === null) return text;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
}

async function say(conn: Deno.TcpConn, text: string): Promise<void> {
  await conn.write(new TextEncoder().encode(text));
}

/** A command that runs on. */
interface Running {
  readonly stdin: TextSource;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stop: AbortController;
  readonly code: Promise<number>;
}

function start(
  args: readonly string[],
  { terminal = false, text }: { terminal?: boolean; text?: string } = {},
): Running {
  const [stdin, stdout, stderr] = [new TextSource(text, terminal), new TextSink(), new TextSink()];
  const stop = new AbortController();
  const code = main(["pipe", ...args], { stdin, stdout, stderr, colors: false, signal: stop.signal });
  return { stdin, stdout, stderr, stop, code };
}

/** The URL that a command listens on, from its first line of JSON. */
async function listensOn({ stdout }: Running): Promise<string> {
  await stdout.has("\n");
  return JSON.parse(stdout.text.split("\n")[0] ?? "").urls[0];
}

const types = (text: string): string[] => text.trimEnd().split("\n").map((line) => JSON.parse(line).type);

Deno.test("holdfast pipe sends its input and writes the answer, and an end is passed on as one", async () => {
  await using server = serve(async (conn) => say(conn, `you said ${await readAll(conn)}`));
  const result = await runMain(["pipe", server.url], undefined, new TextSource("hello\nand more"));
  assertEquals(result, { code: 0, stdout: "you said hello\nand more", stderr: "" });
});

Deno.test("after the other end's end input goes on, but for a person at a terminal, who would not see it", async () => {
  for (const terminal of [false, true]) {
    const heard = Promise.withResolvers<string>();
    await using server = serve(async (conn) => {
      await say(conn, "bye");
      await conn.closeWrite();
      heard.resolve(await readAll(conn));
    });
    const running = start([server.url], { terminal });
    await running.stdout.has("bye");
    if (!terminal) {
      running.stdin.type("still here");
      running.stdin.end();
    }
    assertEquals([await running.code, await heard.promise], [0, terminal ? "" : "still here"]);
    assertEquals([running.stdout.text, running.stderr.text], ["bye", ""]);
  }
});

for (
  const [framing, sent, answer] of [
    ["lines", "one\ntwo\n", "three\r\n\nfive"],
    ["length", "\0\0\0\x03one\0\0\0\x03two", "\0\0\0\x05three\0\0\0\0\0\0\0\x04five"],
  ] as const
) {
  Deno.test(`--framing ${framing} makes a message of each line, and a line of each message`, async () => {
    const heard = Promise.withResolvers<string>();
    await using server = serve(async (conn) => {
      heard.resolve(await readAll(conn));
      await say(conn, answer);
    });
    const args = ["pipe", server.url, "--framing", framing];
    const result = await runMain(args, undefined, new TextSource("one\ntwo"));
    assertEquals([await heard.promise, result.stdout, result.code], [sent, "three\n\nfive\n", 0]);
  });
}

Deno.test("--listen takes one connection, and says with --json where it waits", async () => {
  const server = start(["--listen", "tcp://127.0.0.1:0", "--json"], { text: "welcome" });
  const client = await runMain(["pipe", await listensOn(server)], undefined, new TextSource("hi"));
  assertEquals(client, { code: 0, stdout: "welcome", stderr: "" });
  assertEquals(await server.code, 0);
  assertEquals(types(server.stdout.text), ["listening", "up", "message", "pipe"]);
  const { text, base64, bytes } = JSON.parse(server.stdout.text.split("\n")[2] ?? "");
  assertEquals([text, base64, bytes], ["hi", null, 2]);
});

Deno.test("bytes that are no text are base64 in a line of --json", async () => {
  await using server = serve(async (conn) => void await conn.write(new Uint8Array([255, 0, 1])));
  const { stdout } = await runMain(["pipe", server.url, "--json"]);
  const { text, base64, bytes } = JSON.parse(stdout.split("\n")[1] ?? "");
  assertEquals([text, base64, bytes], [null, "/wAB", 3]);
});

Deno.test("two URLs are relayed to each other, and a failure of one is told and ends with 1", async () => {
  await using one = serve(async (conn) => {
    await say(conn, "from one");
    await conn.closeWrite();
    assertEquals(await readAll(conn), "from two");
  });
  await using two = serve(async (conn) => {
    assertEquals(await readAll(conn), "from one");
    await say(conn, "from two");
  });
  const { code, stdout, stderr } = await runMain(["pipe", one.url, two.url, "--json"]);
  const { aToB, bToA, failure, type } = JSON.parse(stdout);
  assertEquals([code, stderr, type, failure, aToB.bytes, bToA.bytes], [0, "", "relay", null, 8, 8]);

  await using broken = await startFaultServer({ fault: { type: "reset", after: 4 } });
  await using talker = serve(async (conn) => {
    await say(conn, "ping");
    await assertRejects(() => readAll(conn), Deno.errors.ConnectionReset);
  });
  const failed = await runMain(["pipe", talker.url, `tcp://127.0.0.1:${broken.port}`]);
  assertEquals([failed.code, failed.stdout], [1, ""]);
  assertMatch(failed.stderr, /^holdfast: Cannot go on with tcp:.*Connection reset by peer.*\n$/);
});

Deno.test("--listen with two URLs is a door for any number, and one without a server behind it resets", async () => {
  const gone = Deno.listen(local);
  const nowhere = `tcp://127.0.0.1:${gone.addr.port}`;
  gone.close();
  await using server = serve(async (conn) => say(conn, (await readAll(conn)).toUpperCase()));
  {
    const door = start(["--listen", "tcp://127.0.0.1:0", server.url, "--json"]);
    const url = await listensOn(door);
    for (const text of ["first", "second"]) {
      const result = await runMain(["pipe", url], undefined, new TextSource(text));
      assertEquals([result.code, result.stdout], [0, text.toUpperCase()]);
    }
    door.stop.abort();
    assertEquals([await door.code, types(door.stdout.text)], [130, ["listening", "relay", "relay"]]);
  }
  {
    const door = start(["--listen", "tcp://127.0.0.1:0", nowhere, "--timeout", "5s", "--json"]);
    const client = await runMain(["pipe", await listensOn(door)], undefined, new TextSource("x"));
    assertEquals(client.code, 1);
    await door.stderr.has("\n");
    door.stop.abort();
    assertEquals([await door.code, types(door.stdout.text)], [130, ["listening", "relay"]]);
    assertMatch(door.stdout.text, /"failure":\{"pipe":"b","code":"connect","message":"Cannot connect to /);
  }
});

Deno.test("a connection that is lost ends it with 1 and says why, also while input has not ended", async () => {
  await using server = await startFaultServer({ fault: { type: "reset", after: 4 } });
  const running = start([`tcp://127.0.0.1:${server.port}`]);
  running.stdin.type("ping");
  assertEquals(await running.code, 1);
  assertMatch(
    running.stderr.text,
    /^holdfast: Cannot go on with tcp:.*Connection reset by peer.*\n {2}hint: /,
  );
});

Deno.test("connecting that takes too long is timed out with 124", async () => {
  await using server = await startFaultServer({ fault: { type: "silent" } });
  const url = `tls://127.0.0.1:${server.port}`;
  const { code, stderr } = await runMain(["pipe", url, "--timeout", "300ms"]);
  assertEquals(code, 124, stderr);
});

Deno.test("a signal ends it with 130, and the other end gets a reset, for it has not got all", async () => {
  const lost = Promise.withResolvers<unknown>();
  await using server = serve(async (conn) => {
    await say(conn, "hello");
    await readAll(conn).catch(lost.resolve);
  });
  const running = start([server.url]);
  running.stdin.type("a part");
  await running.stdout.has("hello");
  running.stop.abort();
  assertEquals([await running.code, running.stderr.text], [130, ""]);
  assert(await lost.promise instanceof Deno.errors.ConnectionReset);
});

Deno.test("when nobody reads the output any more it ends quietly, whatever input is left", async () => {
  await using server = serve(async (conn) => {
    await say(conn, "hello");
    // How that ends is not the point.
    await readAll(conn).catch(() => {});
  });
  const stdout = {
    isTerminal: () => false,
    write: () => Promise.reject(new Deno.errors.BrokenPipe("closed")),
  };
  const [stdin, stderr] = [new TextSource(), new TextSink()];
  assertEquals([await main(["pipe", server.url], { stdin, stdout, stderr }), stderr.text], [0, ""]);
});

Deno.test("--reconnect goes on over a new connection, and no message comes in part", async () => {
  await using server = serve(async (conn) => {
    try {
      const buffer = new Uint8Array(100);
      for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
        await conn.write(buffer.subarray(0, count));
      }
    } catch (error) {
      assert(error instanceof Deno.errors.ConnectionReset);
    }
  });
  await using link = await startChaosLink({ target: server.url.replace("tcp://", "") });
  const running = start([`tcp://${link.address}`, "--reconnect", "--framing", "lines", "--json"]);
  running.stdin.type("before\n");
  await running.stdout.has('"text":"before"');
  link.cut("reset");
  await running.stdout.has('"reconnects":1');
  running.stdin.type("after\n");
  await running.stdout.has('"text":"after"');
  running.stdin.end();
  assertEquals([await running.code, running.stderr.text], [0, ""]);
  assertEquals(types(running.stdout.text), ["up", "message", "up", "message", "pipe"]);
});

Deno.test("with UDP each piece of input is a datagram, and the answers of the last second are waited for", async () => {
  const server = createSocket("udp4");
  server.on("message", (data, { port, address }) => server.send(`${data}!`, port, address));
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const args = ["pipe", `udp://127.0.0.1:${server.address().port}`, "--framing", "lines", "--linger", "5s"];
  const running = start(args.slice(1));
  running.stdin.type("one\ntwo\n");
  await running.stdout.has("one!\n");
  await running.stdout.has("two!\n");
  running.stop.abort();
  assertEquals(await running.code, 130);
  const quick = await runMain([...args.slice(0, -1), "0s"], undefined, new TextSource("x\n"));
  assertEquals(quick.code, 0);
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

Deno.test("with WebSocket each line is a message, and a line of it is text", async () => {
  const got: unknown[] = [];
  await using server = Deno.serve({ ...local, onListen() {} }, (request) => {
    assertEquals(new URL(request.url).pathname, "/feed");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => {
      got.push(data);
      socket.send(`${data}?`);
      if (data === "end") socket.close(1000);
    };
    return response;
  });
  const url = `ws://127.0.0.1:${server.addr.port}/feed`;
  const result = await runMain(["pipe", url, "--linger", "1m"], undefined, new TextSource("one\nend"));
  assertEquals(result, { code: 0, stdout: "one?\nend?\n", stderr: "" });
  assertEquals(got, ["one", "end"]);
});

Deno.test("--listen over TLS needs a certificate and a key, and --ca trusts the authority of it", async () => {
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue();
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries({ cert, key, ca: authority.cert })) {
      await Deno.writeTextFile(`${folder}/${name}.pem`, text);
    }
    const files = ["--cert", `${folder}/cert.pem`, "--key", `${folder}/key.pem`];
    const server = start(["--listen", "tls://127.0.0.1:0", ...files, "--json"], { text: "sealed" });
    const url = await listensOn(server);
    const client = await runMain(["pipe", url, "--ca", `${folder}/ca.pem`], undefined, new TextSource("hi"));
    assertEquals(client, { code: 0, stdout: "sealed", stderr: "" });
    assertEquals(await server.code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
