/** Sockets by Node's own channel: to and from Node, the runtime, and a parent in Python. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { type IpcEnd, pushByIpc, receiveByIpc } from "../pipes/push/ipc.ts";
import { PushError } from "../pipes/push/push_error.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { requires, scale } from "./_require.ts";

const ROOT = new URL("..", import.meta.url);
const NODE = requires({ os: ["linux"], tools: ["node"] });
const LINUX = requires({ os: ["linux"] });

/** What a program in Node needs to take a socket. */
const NODE_CHILD = `
process.on("message", ({ id, prefix, metadata }, handle) => {
  process.send({ type: "holdfast.taken", id });
  const serve = (socket) => {
    if (prefix) socket.unshift(Buffer.from(prefix, "base64"));
    socket.on("data", (data) => socket.write(metadata + String(data).toUpperCase()));
    socket.on("end", () => socket.end());
  };
  if (handle.listen) handle.on("connection", serve);
  else serve(handle);
});
process.send("ready");`;

/** The same with the library. */
const DENO_CHILD = `
import process from "node:process";
import { receiveByIpc } from "${ROOT.href}pipes/push/ipc.ts";
const serve = async (pipe, metadata) => {
  for await (const message of pipe.messages) await pipe.send(metadata + new TextDecoder().decode(message).toUpperCase());
  await pipe.close();
};
const receiver = receiveByIpc(process);
process.send("ready");
for await (const received of receiver) {
  if (received.kind === "stream") serve(received.pipe, received.metadata);
  else {
    const server = await received.listener.pipes();
    (async () => { for await (const pipe of server) serve(pipe, received.metadata); })();
  }
}`;

/** A child with a channel, which is ready; it is ended with the test. */
async function child(
  by: "node" | "deno",
): Promise<{ readonly end: ChildProcess & IpcEnd } & AsyncDisposable> {
  const file = await Deno.makeTempFile({ suffix: by === "node" ? ".cjs" : ".ts" });
  await Deno.writeTextFile(file, by === "node" ? NODE_CHILD : DENO_CHILD);
  // It may do nothing but read its own code.
  const flags = ["run", "--quiet", "--no-config", "--no-lock", "--no-prompt"];
  const [command, args] = by === "node" ? ["node", [file]] : [Deno.execPath(), [...flags, file]];
  const end = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = new Promise<void>((resolve) => end.once("exit", () => resolve()));
  await new Promise<void>((resolve) => end.once("message", () => resolve()));
  return {
    end: end as ChildProcess & IpcEnd,
    async [Symbol.asyncDispose]() {
      if (end.connected) end.disconnect();
      end.kill("SIGKILL");
      await ended;
      await Deno.remove(file);
    },
  };
}

async function answerOf(client: Deno.TcpConn, text: string): Promise<string> {
  await client.write(new TextEncoder().encode(text));
  await client.closeWrite();
  return await new Response(client.readable).text();
}

for (const by of ["node", "deno"] as const) {
  Deno.test({
    name: `connections and listeners go to a child of ${by} by Node's channel, and none is lost`,
    ...(by === "node" ? NODE : LINUX),
    async fn() {
      await using other = await child(by);
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const once = async (index: number): Promise<void> => {
        const [client, accepted] = await Promise.all([
          Deno.connect({ port: listener.addr.port }),
          listener.accept(),
        ]);
        await client.write(new TextEncoder().encode("first "));
        const prefix = new Uint8Array(6);
        await accepted.read(prefix);
        await pushByIpc(other.end, accepted, { prefix, metadata: "" });
        assertEquals(await answerOf(client, `then ${index}`), `FIRST THEN ${index}`);
      };
      await once(0);
      const before = countDescriptors();
      const count = scale(40, 400);
      for (let index = 1; index < count; index++) await once(index);
      assertEquals(await settledCount(before), before);

      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      await pushByIpc(other.end, server, { metadata: "there " });
      assert(!server.listening);
      assertEquals(await answerOf(await Deno.connect({ port }), "x"), "there X");
    },
  });
}

Deno.test({
  name: "a socket that a child does not take, or dies with, is still ours",
  ...NODE,
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const [client, accepted] = await Promise.all([
      Deno.connect({ port: listener.addr.port }),
      listener.accept(),
    ]);
    // It takes the socket and never says so; at the second one it dies.
    const code = `process.on("message", ({ metadata }) => { if (metadata === "die") process.exit(0); });`;
    const end = spawn("node", ["-e", code], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const ended = new Promise<void>((resolve) => end.once("exit", () => resolve()));
    const silent = await assertRejects(() => pushByIpc(end, accepted, { timeout: 300 }), PushError);
    const dying = await assertRejects(() => pushByIpc(end, accepted, { metadata: "die" }), PushError);
    assertEquals([silent.code, dying.code], ["timeout", "closed"]);
    await ended;
    assertEquals((await assertRejects(() => pushByIpc(end, accepted), PushError)).code, "closed");
    await accepted.write(new TextEncoder().encode("still ours"));
    accepted.close();
    assertEquals(await new Response(client.readable).text(), "still ours");
  },
});

/** A parent that is neither Node nor the runtime: it speaks the protocol itself. */
const PARENT = `
import json, os, socket, subprocess, sys
ours, theirs = socket.socketpair()
env = dict(os.environ, NODE_CHANNEL_FD=str(theirs.fileno()), NODE_CHANNEL_SERIALIZATION_MODE="json")
child = subprocess.Popen(sys.argv[1:], env=env, pass_fds=[theirs.fileno()])
theirs.close()
lines = ours.makefile("rb")
def said():
    return json.loads(lines.readline())
assert said() == "ready"
listener = socket.create_server(("127.0.0.1", 0))
for number in range(3):
    client = socket.create_connection(listener.getsockname())
    conn, _ = listener.accept()
    message = {"type": "holdfast.socket", "id": number, "kind": "stream", "metadata": "py ", "prefix": "YQ=="}
    line = {"cmd": "NODE_HANDLE", "type": "net.Socket", "nativeKind": "tcp", "msg": message}
    socket.send_fds(ours, [json.dumps(line).encode() + b"\\n"], [conn.fileno()])
    answers = [said(), said()]
    assert {"cmd": "NODE_HANDLE_ACK"} in answers and {"type": "holdfast.taken", "id": number} in answers, answers
    conn.close()
    client.sendall(b"b")
    client.shutdown(socket.SHUT_WR)
    answer = b""
    while data := client.recv(100): answer += data
    assert answer in (b"py AB", b"py Apy B"), answer
ours.close(); lines.close()
child.kill()
child.wait()
print("done")
`;

Deno.test({
  name: "a parent in Python that speaks Node's protocol pushes sockets to a child without any permission",
  ...requires({ os: ["linux"], tools: ["python3"] }),
  async fn() {
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, DENO_CHILD);
    const args = ["run", "--quiet", "--no-config", "--no-lock", "--no-prompt", file];
    const { stdout, stderr } = await new Deno.Command("python3", {
      args: ["-c", PARENT, Deno.execPath(), ...args],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    }).output();
    assertEquals([new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)], ["done\n", ""]);
    await Deno.remove(file);
  },
});

Deno.test({
  name: "a parent takes the sockets of its child, nonsense is refused, and what waits at the end as well",
  ...NODE,
  async fn() {
    const code = `
const net = require("net");
process.on("message", (message) => process.send(["heard", message]));
const server = net.createServer((socket) => {
  const kind = server.count++ === 0 ? "nonsense" : "stream";
  process.send({ type: "holdfast.socket", id: server.count, kind, metadata: "from node" }, socket, { keepOpen: true });
}).listen(0, "127.0.0.1", () => process.send(["port", server.address().port]));
server.count = 0;`;
    const end = spawn("node", ["-e", code], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const ended = new Promise<void>((resolve) => end.once("exit", () => resolve()));
    const heard = (what: string): Promise<{ type: string; id: number } & number> =>
      new Promise((resolve) =>
        end.on("message", (message: [string, never]) => message[0] === what && resolve(message[1]))
      );
    const port = await heard("port");
    using receiver = receiveByIpc(end);
    const iterator = receiver[Symbol.asyncIterator]();
    const next = iterator.next();
    const refused = heard("heard");
    using first = await Deno.connect({ port });
    assertEquals([(await refused).type, (await refused).id], ["holdfast.refused", 1]);
    const taken = heard("heard");
    const second = await Deno.connect({ port });
    const { value } = await next;
    assertEquals(await taken, { type: "holdfast.taken", id: 2 } as never);
    assert(value?.kind === "stream" && value.metadata === "from node");
    await value.pipe.send("hello");
    const buffer = new Uint8Array(5);
    await second.read(buffer);
    assertEquals(new TextDecoder().decode(buffer), "hello");
    await value.pipe.close();
    second.close();
    const last = heard("heard");
    using third = await Deno.connect({ port });
    await new Promise<void>((resolve) => end.once("message", () => resolve()));
    receiver.close();
    assertEquals(await last, { type: "holdfast.refused", id: 3, reason: "it is closed" } as never);
    assertEquals((await iterator.next()).done, true);
    end.disconnect();
    end.kill("SIGKILL");
    await ended;
    assert(first && third);
  },
});
