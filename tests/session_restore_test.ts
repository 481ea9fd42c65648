import { assert, assertEquals, assertRejects } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { memoryStore } from "../internal/store.ts";
import { sqliteStore } from "../internal/store_sqlite.ts";
import { connect } from "../pipes/connect.ts";
import { fixed, type Framer, lengthPrefix, lines } from "../pipes/framing.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { firstDifference, nextSession, pattern, portOf, rawClient, until } from "./_serve_sessions.ts";
import { scale } from "./_require.ts";

const LOOPBACK = "resume+tcp://127.0.0.1:0";

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined);
const bytesOf = (words: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(words);

async function opened(url: string, options: Parameters<typeof connect>[1] = {}): Promise<SessionPipe> {
  return await connect(url, { retry: false, ...options }) as unknown as SessionPipe;
}

/** Starts the echo server of `_echo_server.ts`, and waits for its first line. */
async function echoServer(port: number, path: string): Promise<{
  readonly port: number;
  readonly sessions: number;
  readonly end: () => Promise<number>;
}> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-lock",
      new URL("_echo_server.ts", import.meta.url).pathname,
      String(port),
      path,
    ],
    stdout: "piped",
    stderr: "inherit",
    stdin: "null",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const line = async (): Promise<{ readonly port: number; readonly sessions: number }> => {
    while (!rest.includes("\n")) {
      const { done, value } = await output.read();
      if (done) throw new Error("Cannot go on: the server has ended");
      rest += value;
    }
    const [first = ""] = rest.split("\n", 1);
    rest = rest.slice(first.length + 1);
    return JSON.parse(first);
  };
  const first = await line();
  return {
    ...first,
    end: async () => {
      child.kill("SIGTERM");
      const { sessions } = await line();
      await output.cancel();
      assertEquals((await child.status).code, 0);
      return sessions;
    },
  };
}

Deno.test("a server is replaced by another process under load: no session is lost, no byte lost or doubled", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/sessions.db`;
  const [clients, replacements] = [scale(8, 50), scale(3, 10)];
  let server = await echoServer(0, path);
  const url = `resume+tcp://127.0.0.1:${server.port}`;
  const pipes = await Promise.all(Array.from({ length: clients }, () => opened(url)));
  const ids = pipes.map(({ session }) => session.id);
  let stop = false;
  const sent: number[] = [];
  const progress: number[] = pipes.map(() => 0);
  const work = pipes.map(async (pipe, n) => {
    const sending = (async () => {
      let at = 0;
      while (!stop) {
        await pipe.send(pattern(10_000 + n, at));
        at += 10_000 + n;
      }
      sent[n] = at;
      await pipe.closeWrite();
    })();
    let got = 0;
    for await (const bytes of pipe.messages) {
      assertEquals(firstDifference(bytes, got), -1);
      progress[n] = got += bytes.length;
    }
    await sending;
    return got;
  });
  for (let round = 0; round < replacements; round++) {
    const before = [...progress];
    await until("progress of all", () => progress.every((done, n) => done > (before[n] ?? 0) + 300_000));
    assertEquals(await server.end(), clients);
    server = await echoServer(server.port, path);
    assertEquals(server.sessions, clients);
  }
  const before = [...progress];
  await until("progress of all", () => progress.every((done, n) => done > (before[n] ?? 0)));
  stop = true;
  assertEquals(await Promise.all(work), sent);
  assertEquals(pipes.map(({ session }) => session.id), ids);
  assert(pipes.every(({ session }) => session.resumes === replacements));
  await Promise.all(pipes.map((pipe) => pipe.close()));
  await until("the end of all sessions", () => true);
  await server.end();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("what was read and sent before a snapshot, and by nobody taken, is there after it", async () => {
  const framings: readonly (Framer | undefined)[] = [
    undefined,
    lengthPrefix(),
    lengthPrefix({ bytes: 2, littleEndian: true }),
    lines(),
    fixed(7),
  ];
  for (const framing of framings) {
    const options = framing ? { framing } : {};
    await using store = memoryStore();
    const first = await serveSessions(LOOPBACK, { ...options, session: { window: 65_536 } });
    const port = portOf(first);
    // Its messages are put together by hand, so that one of them can come in two parts.
    using _hold = holdProcess();
    await using client = await opened(first.url);
    const session = await nextSession(first);
    const words = ["message", "another", "a third", "4th one"];
    const all = words.map((word) => {
      const { head, tail } = framing?.wrap(bytesOf(word)) ??
        { head: new Uint8Array(), tail: new Uint8Array() };
      return new Uint8Array([...head, ...bytesOf(word), ...tail]);
    });
    const stream = new Uint8Array(all.flatMap((one) => [...one]));
    const cut = stream.length - (framing ? 3 : 0);
    await client.send(stream.subarray(0, cut));
    const handed = [text(await session.recv())];
    // More than the window allows, which the client does not read yet.
    const size = framing?.name === fixed(7).name ? 7 : 7000;
    const answers = Array.from(
      { length: Math.ceil(200_000 / size) },
      (_, n) => new Uint8Array(size).fill(97 + n % 26),
    );
    const sending = Promise.all(answers.map((answer) => session.send(answer)));
    await until("all that came", () => first.status().sessions[0]?.received === cut);
    const state = bytesOf("what I know");
    assertEquals(await first.snapshot(store, { state: () => state }), 1);
    await sending;
    await assertRejects(() => session.recv());

    await using second = await serveSessions(`resume+tcp://127.0.0.1:${port}`, options);
    const [restored] = await second.restore(store);
    assert(restored);
    assertEquals([text(restored.state), restored.pipe.session.id], ["what I know", client.session.id]);
    assertEquals([(await second.restore(store)).length, second.connections], [0, 1]);
    if (framing) await client.send(stream.subarray(cut));
    if (framing) {
      while (handed.length < words.length) handed.push(text(await restored.pipe.recv()));
      assertEquals(handed, words);
    } else assertEquals(handed, [words.join("")]);
    const whole = answers.flatMap((answer) => {
      const { head, tail } = framing?.wrap(answer) ?? { head: [], tail: [] };
      return [...head, ...answer, ...tail];
    });
    for (let got = 0; got < whole.length;) {
      const bytes = await client.recv() ?? new Uint8Array();
      assertEquals([...bytes], whole.slice(got, got + bytes.length));
      got += bytes.length;
    }
    await Promise.all([client.close(), restored.pipe.close()]);
  }
});

Deno.test("a session that was closed before a snapshot still tells its client so after it", async () => {
  await using store = memoryStore();
  const first = await serveSessions(LOOPBACK);
  await using client = await opened(first.url);
  const session = await nextSession(first);
  await session.send("last words");
  // The client does not read, so it cannot be over yet.
  const closing = session.close();
  await until("the end of our direction", () => first.status().sessions.length === 1);
  await first.snapshot(store);
  await closing.catch(() => {});
  await using second = await serveSessions(
    `resume+tcp://127.0.0.1:${portOf(first) || new URL(first.url.replace("resume+tcp", "http")).port}`,
  );
  assertEquals(await second.restore(store), []);
  assertEquals(second.connections, 1);
  assertEquals(text(await client.recv()), "last words");
  assertEquals(await client.recv(), null);
  await client.close();
  await until("the end", () => second.connections === 0);
});

Deno.test("a store that others can read shows no secret with a key, and is of no use with another one or when changed", async () => {
  const directory = await Deno.makeTempDir();
  const key = crypto.getRandomValues(new Uint8Array(32));
  await using store = await sqliteStore(`${directory}/sessions.db`, { durability: "process" });
  const first = await serveSessions(LOOPBACK);
  using client = await rawClient(first);
  await client.conn.write(client.confirm);
  const session = await nextSession(first);
  await session.send("a secret message");
  assertEquals(await first.snapshot(store, { key, prefix: "game/" }), 1);
  const entries = await Array.fromAsync(store.list(""));
  const [[name, value] = ["", new Uint8Array()]] = entries;
  assertEquals([entries.length, name], [1, `game/${client.session.id.toHex()}`]);
  for (const secret of [client.session.clientKey, client.session.serverKey, bytesOf("a secret message")]) {
    assert(!value.toHex().includes(secret.toHex()));
  }
  await using second = await serveSessions(LOOPBACK);
  const other = crypto.getRandomValues(new Uint8Array(32));
  for (const wrong of [{ key: other }, {}]) {
    await assertRejects(() => second.restore(store, { prefix: "game/", ...wrong }), SyntaxError);
  }
  const changed = value.slice();
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  await store.set(name, changed);
  await assertRejects(() => second.restore(store, { prefix: "game/", key }), SyntaxError);
  await store.set(name, value);
  assertEquals((await second.restore(store, { prefix: "game/", key })).length, 1);
  assertEquals(await Array.fromAsync(store.list("")), []);
  await second.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("of two processes that restore from the same store, one gets each session", async () => {
  await using store = memoryStore();
  const first = await serveSessions(LOOPBACK);
  const clients = await Promise.all(Array.from({ length: 5 }, () => rawClient(first)));
  for (const { conn, confirm } of clients) await conn.write(confirm);
  await until("the sessions", () => first.connections === 5);
  assertEquals(await first.snapshot(store), 5);
  await using one = await serveSessions(LOOPBACK);
  await using two = await serveSessions(LOOPBACK);
  const both = await Promise.all([one.restore(store), two.restore(store)]);
  const ids = both.flat().map(({ pipe }) => pipe.session.id);
  assertEquals([ids.length, new Set(ids).size], [5, 5]);
  clients.forEach((client) => client[Symbol.dispose]());
});

Deno.test("a recording of a carrier is of no use against a server that was restored from a backup", async () => {
  await using store = memoryStore();
  const first = await serveSessions(LOOPBACK);
  using client = await rawClient(first);
  await client.conn.write(client.confirm);
  const session = await nextSession(first);
  await session.send("for the owner only");
  client.conn.close();
  // A carrier that is recorded: RESUME and CONFIRM of the owner.
  using owner = await rawClient(first, { session: client.session, epoch: 2 });
  await first.snapshot(store);
  await using second = await serveSessions(LOOPBACK);
  const [restored] = await second.restore(store);
  using again = await rawClient(second, { session: client.session, epoch: 2 });
  // CONFIRM of the recording does not fit the nonce of this carrier.
  await again.conn.write(owner.confirm);
  const refused = Promise.withResolvers<unknown>();
  second.on("refused", ({ error }) => refused.resolve(error));
  await refused.promise;
  assertEquals([restored?.pipe.session.state, restored?.pipe.session.epoch], ["suspended", 1]);
});

Deno.test("with a framing that does not tell what it keeps there is no snapshot, and nothing has happened", async () => {
  const opaque: Framer = { ...lines(), name: "opaque", decoder: () => ({ push: () => [], end: () => [] }) };
  await using store = memoryStore();
  await using server = await serveSessions(LOOPBACK, { framing: opaque });
  await using client = await opened(server.url);
  await using session = await nextSession(server);
  await assertRejects(() => server.snapshot(store), TypeError);
  await assertRejects(() => server.snapshot(store, { key: new Uint8Array(5) }), TypeError);
  assertEquals(session.session.state, "open");
  await Promise.all([client.close(), session.close()]);
});
