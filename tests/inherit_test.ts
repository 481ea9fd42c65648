/** Sockets that programs get when they are started: Python, Node, nginx, the shell. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { existsSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { startWithSockets } from "../pipes/push/inherit.ts";
import { eventually, isAlive, libcPath } from "./_child.ts";
import { runCode, startCode } from "./_code.ts";
import { countDescriptors, settledCount } from "./_push_sockets.ts";
import { requires, scale } from "./_require.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 } as const;
const PYTHON = requires({ os: ["linux"], tools: ["python3"] });

/** A listener of Node's part, for which no permission but the network is needed. */
async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as { port: number }).port };
}

/** Answers each connection with a word, its own process number and whether the listener blocks, until it is killed. */
const SERVE = `
import fcntl, os, socket
assert os.environ["LISTEN_PID"] == str(os.getpid())
names = os.environ["LISTEN_FDNAMES"].split(":")
assert int(os.environ["LISTEN_FDS"]) == len(names)
listener = socket.socket(fileno=3)
blocking = not fcntl.fcntl(3, fcntl.F_GETFL) & os.O_NONBLOCK
import selectors
poll = selectors.DefaultSelector()
poll.register(listener, selectors.EVENT_READ)
while True:
    poll.select()
    try:
        conn, _ = listener.accept()
    except BlockingIOError:
        continue
    conn.setblocking(True)
    while data := conn.recv(65536):
        conn.sendall(f"{names[0]} {os.getpid()} {blocking} ".encode() + data)
    conn.close()
`;

async function ask(port: number, text: string): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await conn.write(new TextEncoder().encode(text));
  await conn.closeWrite();
  return await new Response(conn.readable).text();
}

Deno.test({
  name: "a listener is handed to a program in Python by systemd's protocol, and is gone here",
  ...PYTHON,
  async fn() {
    const once = async (): Promise<void> => {
      const { server, port } = await listening();
      await using program = await startWithSockets("python3", {
        args: ["-c", SERVE],
        sockets: [server],
        names: ["web"],
      });
      assert(!server.listening);
      assertEquals(await ask(port, "hello"), `web ${program.pid} True hello`);
    };
    await once();
    const before = countDescriptors();
    await once();
    assertEquals(await settledCount(before), before);
  },
});

Deno.test({
  name: "a listener of the runtime's own is handed over likewise, found by the C library",
  ...PYTHON,
  async fn() {
    const listener = Deno.listen(LOOPBACK);
    const { port } = listener.addr;
    await using program = await startWithSockets("python3", { args: ["-c", SERVE], sockets: [listener] });
    assertEquals(await ask(port, "hello"), `unknown ${program.pid} True hello`);
  },
});

Deno.test({
  name: "a listener that is kept serves in both processes, neither of which it blocks",
  ...PYTHON,
  async fn() {
    const { server, port } = await listening();
    let here = 0;
    server.on("connection", (socket) => {
      here++;
      socket.on("error", () => {});
      socket.resume().end("here");
    });
    await using program = await startWithSockets("python3", {
      args: ["-c", SERVE],
      sockets: [server],
      keep: true,
    });
    const there = `unknown ${program.pid} False x`;
    let others = 0;
    // Either may get any of them, and the one that does not must not wait for ever.
    for (let count = 0; count < 50; count++) {
      const answer = await ask(port, "x");
      assert(answer === "here" || answer === there, answer);
      if (answer === there) others++;
    }
    assertEquals(others + here, 50);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    assertEquals(await ask(port, "x"), there);
  },
});

/** Answers all connections that it has been started with. */
const CONNECTIONS = `
import os, socket, threading
def serve(fd):
    conn = socket.socket(fileno=fd)
    while data := conn.recv(65536):
        conn.sendall(data.upper())
    conn.close()
threads = [threading.Thread(target=serve, args=(3 + n,)) for n in range(int(os.environ["LISTEN_FDS"]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
`;

Deno.test({
  name: "connections are handed over with data on its way, no byte lost or doubled",
  ...PYTHON,
  async fn() {
    // 16 at a time, each time a new program.
    const rounds = Math.ceil(scale(64, 400) / 16);
    using listener = Deno.listen(LOOPBACK);
    const connect = async (): Promise<readonly [Deno.TcpConn, Deno.TcpConn]> => {
      const client = Deno.connect({ port: listener.addr.port });
      return [await listener.accept(), await client];
    };
    const round = async (): Promise<void> => {
      const pairs: (readonly [Deno.TcpConn, Deno.TcpConn])[] = [];
      while (pairs.length < 16) pairs.push(await connect());
      const size = 20_000;
      const answers = pairs.map(async ([, client], index) => {
        const text = `${index} `.padEnd(size, "abcdefghij");
        const bytes = new TextEncoder().encode(text);
        const writing = (async () => {
          for (let at = 0; at < size; at += 997) await client.write(bytes.subarray(at, at + 997));
          await client.closeWrite();
        })();
        const answer = await new Response(client.readable).text();
        await writing;
        assertEquals(answer, text.toUpperCase());
      });
      const sockets = pairs.map(([accepted]) => accepted);
      await using program = await startWithSockets("python3", { args: ["-c", CONNECTIONS], sockets });
      await Promise.all(answers);
      assertEquals((await program.ended).code, 0);
    };
    await round();
    const before = countDescriptors();
    for (let n = 1; n < rounds; n++) await round();
    assertEquals(await settledCount(before), before);
  },
});

Deno.test({
  name: "a connection is a command's standard input and output, and ends with it",
  ...requires({ os: ["linux"], tools: ["bash"] }),
  async fn() {
    using listener = Deno.listen(LOOPBACK);
    const [client, accepted] = await Promise.all([
      Deno.connect({ port: listener.addr.port }),
      listener.accept(),
    ]);
    const program = await startWithSockets("bash", {
      args: ["-c", 'read -r line; echo "$1 $line"; ls -l /proc/$$/fd | grep -c socket:', "bash", "$(id) 'x'"],
      sockets: [accepted],
      toldBy: "inetd",
    });
    await client.write(new TextEncoder().encode("hello\n"));
    const text = await new Response(client.readable).text();
    // It has the socket as these two and no other.
    assertEquals(text, "$(id) 'x' hello\n2\n");
    assertEquals((await program.ended).code, 0);
  },
});

Deno.test({
  name: "Node listens on a number that an argument names",
  ...requires({ os: ["linux"], tools: ["node"] }),
  async fn() {
    const { server, port } = await listening();
    const code =
      `require("net").createServer((socket) => socket.pipe(socket)).listen({ fd: Number(process.argv[1]) })`;
    await using _program = await startWithSockets("node", {
      args: ["-e", code, "3"],
      sockets: [server],
      toldBy: "nothing",
    });
    assertEquals(await ask(port, "through node"), "through node");
  },
});

/** A successor of nginx, which serves until it is killed; it may read one variable. */
const SUCCESSOR = `
import { nginxListeners } from "${new URL("../pipes/push/listen_fds.ts", import.meta.url).href}";
import { serveHttp } from "${new URL("../pipes/push/serve_http.ts", import.meta.url).href}";
const [listener] = await nginxListeners();
await using server = await serveHttp(listener, () => new Response("back", { headers: { connection: "close" } }));
await Deno.writeTextFile(Deno.args[0], String(Deno.pid));
await server.finished;`;

/** Has nginx start its successor, ends nginx when that serves, and ends the successor. */
async function giveBack(
  nginx: number,
  place: string,
  serves: () => boolean,
  done: () => Promise<unknown>,
): Promise<void> {
  await Deno.writeTextFile(`${place}.ts`, SUCCESSOR);
  const deno = [Deno.execPath(), "run", "--quiet", "--no-config", "--no-lock", "--no-prompt"];
  const command = [...deno, "--allow-env=NGINX", `--allow-write=${place}.pid`, `${place}.ts`, `${place}.pid`];
  await Deno.writeTextFile(`${place}.new`, `#!/bin/sh\nHOME=/root exec ${command.join(" ")}\n`, {
    mode: 0o755,
  });
  await Deno.rename(`${place}.new`, place);
  Deno.kill(nginx, "SIGUSR2");
  await eventually("the successor to serve", () => existsSync(`${place}.pid`));
  Deno.kill(nginx, "SIGQUIT");
  await eventually("nginx to end", () => !isAlive(nginx));
  const pid = Number(await Deno.readTextFile(`${place}.pid`));
  await eventually("the successor to serve alone", serves);
  await done();
  // Nginx blocks the other signals while it starts its successor, who inherits that.
  Deno.kill(pid, "SIGKILL");
  await eventually("the successor to end", () => !isAlive(pid));
}

Deno.test({
  name:
    "nginx takes a listener over from the runtime and gives it back while clients come, none of whom is refused",
  ...requires({ os: ["linux"], tools: ["nginx"] }),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "holdfast-nginx-" });
    const nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].find((path) => existsSync(path)) ?? "nginx";
    const { server, port } = await listening();
    const answer = (by: string): string =>
      `HTTP/1.1 200 OK\r\nContent-Length: ${by.length}\r\nConnection: close\r\n\r\n${by}`;
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(answer("here")));
    });
    const config = `${folder}/nginx.conf`;
    await Deno.writeTextFile(
      config,
      `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1; user root;
events { worker_connections 64; }
http {
  access_log off;
  ${
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
          `${name}_temp_path ${folder}/${name};`
        ).join(" ")
      }
  server { listen 127.0.0.1:${port}; location / { return 200 "nginx"; } }
}`,
    );
    const seen = new Map<string, number>();
    let going = true;
    const clients = Array.from({ length: 4 }, async () => {
      while (going) {
        const text = await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } }))
          .text();
        seen.set(text, (seen.get(text) ?? 0) + 1);
      }
    });
    await eventually("clients to be served here", () => (seen.get("here") ?? 0) > 0);
    await Deno.copyFile(nginx, `${folder}/nginx`);
    // One that has sockets stays in the foreground; but it takes a successor only when its parent has gone.
    const background = `"$@" & while ! test -s ${folder}/pid; do sleep 0.01; done`;
    const program = await startWithSockets("/bin/sh", {
      args: ["-c", background, "sh", `${folder}/nginx`, "-c", config],
      sockets: [server],
      toldBy: "nginx",
      keep: true,
      stdio: ["null", "inherit", "null"],
    });
    assertEquals((await program.ended).code, 0);
    const pid = Number(await Deno.readTextFile(`${folder}/pid`));
    try {
      await eventually("nginx to serve", () => (seen.get("nginx") ?? 0) > 0);
      // Who has been accepted here is answered here.
      await new Promise<void>((resolve) => server.close(() => resolve()));
      const [before, here] = [seen.get("nginx") ?? 0, seen.get("here")];
      await eventually("nginx to serve alone", () => (seen.get("nginx") ?? 0) > before + 20);
      assertEquals(seen.get("here"), here);
      await giveBack(pid, `${folder}/nginx`, () => {
        const enough = (seen.get("back") ?? 0) > 20;
        // The last ones are answered by the successor, which is still there.
        if (enough) going = false;
        return enough;
      }, () => Promise.all(clients));
      assertEquals([...seen.keys()].sort(), ["back", "here", "nginx"]);
    } finally {
      going = false;
      if (isAlive(pid)) Deno.kill(pid, "SIGKILL");
      await Promise.allSettled(clients);
    }
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "sockets of Node's part are handed to programs without the C library, and are as blocking as with it",
  ...PYTHON,
  async fn() {
    const code = (program: string): string => `
import { createServer } from "node:net";
import { startWithSockets } from "#/pipes/push/inherit.ts";
const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
console.log("port", server.address().port);
await using program = await startWithSockets("python3", { args: ["-c", ${
      JSON.stringify(program)
    }], sockets: [server],
  env: { PATH: ${JSON.stringify(Deno.env.get("PATH"))}, HOME: "/" } });
await program.ended;`;
    const program = SERVE.replace("while True:", "for _ in range(1):");
    const least = [
      "--no-prompt",
      "--allow-net=127.0.0.1:0",
      "--allow-run=/bin/sh",
      "--allow-env=NODE_V8_COVERAGE",
    ];
    for (const flags of [least, [...least, `--allow-ffi=${libcPath()}`]]) {
      await using running = startCode(code(program), { flags });
      const [, port] = await running.said(/port (\d+)/);
      assert(/^unknown \d+ True hello$/.test(await ask(Number(port), "hello")), String(flags));
      assertEquals((await running.result).code, 0);
    }
    const refused = await runCode(code(program), { flags: least.slice(0, -1) });
    assert(refused.stderr.includes("add --allow-env=NODE_V8_COVERAGE"), refused.stderr);
  },
});

Deno.test({
  name: "a program that cannot be started leaves its sockets as they were",
  ...PYTHON,
  async fn() {
    const { server, port } = await listening();
    server.on("connection", (socket) => socket.on("error", () => {}).resume().end("still here"));
    await assertRejects(() =>
      startWithSockets("/nowhere/holdfast", { sockets: [server], toldBy: "nothing" })
    );
    // Two at once: the second accept would stand still if the listener were blocking now.
    assertEquals(await Promise.all([ask(port, "x"), ask(port, "x")]), ["still here", "still here"]);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  },
});

Deno.test("mistakes are named before anything is started", async () => {
  const { server } = await listening();
  const wrong = [
    [{ sockets: [] }, "1 to 16 of them are needed"],
    [{ sockets: [server, server] }, "each once"],
    [{ sockets: [server], names: ["a:b"] }, 'got "a:b"'],
    [{ sockets: [server], names: ["a", "b"] }, "got 2 names"],
    [
      { sockets: [server, await listening().then((other) => other.server)], toldBy: "inetd" },
      "there is one, got 2",
    ],
  ] as const;
  for (const [options, why] of wrong) {
    await assertRejects(() => startWithSockets("/nowhere", options), Error, why);
    for (const socket of options.sockets) if (socket !== server) socket.close();
  }
  server.close();
});

Deno.test({
  name: "a socket of which something was read already is not passed, as that would be lost, and goes on here",
  ...PYTHON,
  async fn() {
    const { server, port } = await listening();
    const arrived = new Promise<Socket>((resolve) =>
      server.once("connection", (socket) => socket.once("readable", () => resolve(socket)))
    );
    const client = await Deno.connect({ hostname: "127.0.0.1", port });
    await client.write(new TextEncoder().encode("first"));
    const socket = await arrived;
    const error = await assertRejects(() =>
      startWithSockets("python3", { args: ["-c", CONNECTIONS], sockets: [socket] })
    );
    assertEquals((error as { code?: string }).code, "kind");
    socket.pipe(socket);
    await client.closeWrite();
    assertEquals(await new Response(client.readable).text(), "first");
    await new Promise<void>((resolve) => server.close(() => resolve()));
  },
});
