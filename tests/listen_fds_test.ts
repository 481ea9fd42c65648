/** Sockets that systemd's own program opens for a process that may do little. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSocket } from "node:dgram";
import { libcPath } from "./_child.ts";
import { runCode } from "./_code.ts";
import { requires } from "./_require.ts";

const ROOT = new URL("..", import.meta.url);
const NEEDS = requires({ os: ["linux"], tools: ["systemd-socket-activate"] });

/** All that it may do: read and remove four variables. */
const LEAST = ["--no-prompt", "--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES,LISTEN_PIDFDID"];

/** A program under systemd-socket-activate; it is ended with the test. */
interface Activated extends AsyncDisposable {
  /** Resolves with the first group when that has been said on standard error. */
  said(text: RegExp): Promise<string>;
  readonly ended: Promise<number>;
}

/** Has sockets opened, and starts some code when somebody comes. */
async function activate(
  sockets: readonly string[],
  flags: readonly string[],
  code: string,
): Promise<Activated> {
  const file = await Deno.makeTempFile({ prefix: "holdfast-activate-", suffix: ".ts" });
  await Deno.writeTextFile(file, code.replaceAll('"#/', `"${ROOT.href}`));
  const child = new Deno.Command("systemd-socket-activate", {
    args: [...sockets, Deno.execPath(), "run", "--quiet", "--no-config", ...flags, file],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
    stdin: "null",
    stdout: "inherit",
    stderr: "piped",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), 30_000);
  let output = "";
  let over = false;
  let changed = Promise.withResolvers<void>();
  const ended = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      output += text;
      changed.resolve();
      changed = Promise.withResolvers();
    }
    const { code } = await child.status;
    clearTimeout(limit);
    over = true;
    changed.resolve();
    await Deno.remove(file);
    return code;
  })();
  return {
    ended,
    async said(text) {
      while (true) {
        const found = text.exec(output);
        if (found) return found[1] ?? "";
        if (over) throw new Error(`Never said ${text} but:\n${output}`);
        await changed.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      if (!over) child.kill("SIGTERM");
      await ended;
    },
  };
}

const TAKE = `
import { listenFds } from "#/pipes/push/listen_fds.ts";
const sockets = await listenFds();
console.error("names", JSON.stringify(sockets.map(({ name, number, socket }) => [name, number, socket?.kind, socket?.transport])));
console.error("again", (await listenFds()).length, Deno.env.has("LISTEN_FDS") || Deno.env.has("LISTEN_PID") || Deno.env.has("LISTEN_FDNAMES"));
`;

/** Answers each listener once. */
const SERVE = `${TAKE}
await Promise.all(sockets.map(async ({ name, socket }) => {
  await using server = await socket.pipes();
  for await (const pipe of server) {
    await pipe.send(name + " " + new TextDecoder().decode(await pipe.recv()));
    await pipe.close();
    break;
  }
}));`;

async function ask(conn: Deno.Conn): Promise<string> {
  await conn.write(new TextEncoder().encode("hello"));
  return await new Response(conn.readable as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

for (
  const [name, flags] of [
    ["without any other permission", LEAST],
    ["with the C library", [...LEAST, `--allow-ffi=${libcPath()}`]],
  ] as const
) {
  Deno.test({
    name: `listeners of TCP and of Unix sockets come from systemd under their names, ${name}`,
    ...NEEDS,
    async fn() {
      const folder = await Deno.makeTempDir();
      const port = freePort();
      const path = `${folder}/sock`;
      {
        const sockets = ["-l", `127.0.0.1:${port}`, "-l", path, "--fdname=web:local"];
        await using service = await activate(sockets, flags, SERVE);
        await service.said(/Listening on .*sock as 4/);
        assertEquals(await ask(await Deno.connect({ hostname: "127.0.0.1", port })), "web hello");
        assertEquals(
          JSON.parse(await service.said(/names (.*)\n/)),
          [["web", 3, "listener", "tcp"], ["local", 4, "listener", "unix"]],
        );
        assertEquals(await service.said(/again (.*)\n/), "0 false");
        assertEquals(await ask(await Deno.connect({ transport: "unix", path })), "local hello");
        assertEquals(await service.ended, 0);
      }
      await Deno.remove(folder, { recursive: true });
    },
  });

  Deno.test({
    name: `a connection that systemd has accepted is one, and inetd's is standard input, ${name}`,
    ...NEEDS,
    async fn() {
      const take = {
        "--accept": `${TAKE}const [{ socket }] = sockets;`,
        "--inetd":
          `import { inetdSocket } from "#/pipes/push/listen_fds.ts"; const socket = await inetdSocket();`,
      };
      for (const [way, code] of Object.entries(take)) {
        const port = freePort();
        const sockets = ["-l", `127.0.0.1:${port}`, ...new Set(["--accept", way])];
        await using service = await activate(
          sockets,
          flags,
          `${code}
const pipe = socket.pipe();
await pipe.send(socket.kind + " " + pipe.remoteAddress.port + " " + new TextDecoder().decode(await pipe.recv()));
await pipe.close();`,
        );
        await service.said(/Listening on .* as 3/);
        const conn = await Deno.connect({ hostname: "127.0.0.1", port });
        const { port: own } = conn.localAddr;
        assertEquals(await ask(conn), `stream ${own} hello`, way);
      }
    },
  });

  Deno.test({
    name: `sockets for datagrams come from systemd, ${name}`,
    ...NEEDS,
    async fn() {
      const port = freePort();
      // Sending is what needs the permission for the network.
      await using service = await activate(
        ["-d", "-l", `127.0.0.1:${port}`],
        [...flags, "--allow-net=127.0.0.1"],
        `${TAKE}
const { socket, localAddress } = sockets[0].socket;
socket.once("message", (message, from) =>
  socket.send(localAddress.port + " " + message, from.port, from.address, () => socket.close()));`,
      );
      await service.said(/Listening on .* as 3/);
      const client = createSocket("udp4");
      const answer = new Promise<string>((resolve) =>
        client.once("message", (message) => resolve(`${message}`))
      );
      client.send("hello", port, "127.0.0.1");
      assertEquals(await answer, `${port} hello`);
      await new Promise<void>((resolve) => client.close(resolve));
      assertEquals(JSON.parse(await service.said(/names (.*)\n/)), [["unknown", 3, "datagram", "udp"]]);
      assertEquals(await service.ended, 0);
    },
  });

  Deno.test({
    name: `listeners of systemd are handed on to another program in another order, ${name}`,
    ...requires({ os: ["linux"], tools: ["systemd-socket-activate", "python3"] }),
    async fn() {
      const [one, two] = [freePort(), freePort()];
      const program = `
import os, socket
names = os.environ["LISTEN_FDNAMES"].split(":")
print([[name, socket.socket(fileno=3 + n).getsockname()[1]] for n, name in enumerate(names)], file=__import__("sys").stderr)`;
      await using service = await activate(
        ["-l", `127.0.0.1:${one}`, "-l", `127.0.0.1:${two}`],
        [...flags.slice(0, 1), "--allow-run=/bin/sh", "--allow-env", ...flags.slice(2)],
        `import { startWithSockets } from "#/pipes/push/inherit.ts";
${TAKE}
const program = await startWithSockets("python3", {
  args: ["-c", ${JSON.stringify(program)}],
  sockets: sockets.map(({ socket }) => socket).reverse(),
  names: ["second", "first"],
});
await program.ended;`,
      );
      await service.said(/Listening on .* as 4/);
      (await Deno.connect({ hostname: "127.0.0.1", port: one })).close();
      assertEquals(await service.said(/(\[\['second.*)\n/), `[['second', ${two}], ['first', ${one}]]`);
      assertEquals(await service.ended, 0);
    },
  });

  Deno.test({
    name: `a listener of systemd serves HTTP, ${name}`,
    ...NEEDS,
    async fn() {
      const by = flags.length > LEAST.length ? "Deno.serve" : "node:http";
      const port = freePort();
      await using service = await activate(
        ["-l", `127.0.0.1:${port}`],
        by === "Deno.serve" ? [...flags, "--allow-net=127.0.0.1"] : flags,
        `import { serveHttp } from "#/pipes/push/serve_http.ts";
${TAKE}
const done = Promise.withResolvers();
const server = await serveHttp(sockets[0].socket, (request) => {
  done.resolve();
  return new Response(server.by + " " + server.localAddress.port + " " + new URL(request.url).pathname);
});
console.error("note", server.note);
await done.promise;
await server.shutdown();`,
      );
      await service.said(/Listening on .* as 3/);
      const response = await fetch(`http://127.0.0.1:${port}/news`, { headers: { connection: "close" } });
      assertEquals(await response.text(), `${by} ${port} /news`);
      const note = await service.said(/note (.*)\n/);
      if (by === "Deno.serve") assertEquals(note, "null");
      else assertStringIncludes(note, "--allow-");
      assertEquals(await service.ended, 0);
    },
  });
}

Deno.test({
  name: "children do not inherit what came from systemd, with and without the C library",
  ...NEEDS,
  async fn() {
    for (const ffi of [[], [`--allow-ffi=${libcPath()}`]]) {
      const folder = await Deno.makeTempDir();
      {
        const port = freePort();
        const code = `${TAKE}
const { stdout } = await new Deno.Command("ls", { args: ["-l", "/proc/self/fd"] }).output();
const open = new TextDecoder().decode(stdout).split("\\n").filter((line) => line.includes("socket:"));
console.error("inherited", open.length);
for (const { socket } of sockets) await socket.close();`;
        const sockets = ["-l", `127.0.0.1:${port}`, "-l", `${folder}/sock`];
        await using service = await activate(sockets, [...LEAST, ...ffi, "--allow-run=ls"], code);
        await service.said(/Listening on .*sock as 4/);
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        assertEquals(await service.said(/inherited (\d+)/), "0");
        assertEquals(await service.ended, 0);
      }
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("variables that are meant for another process give nothing, and nonsense is an error", async () => {
  const code = `import { listenFds } from "#/pipes/push/listen_fds.ts";
Deno.env.set("LISTEN_FDS", "1");
Deno.env.set("LISTEN_PID", String(Deno.pid + 1));
console.log((await listenFds()).length, Deno.env.has("LISTEN_FDS"));
for (const count of ["-1", "99999", "x", ""]) {
  Deno.env.set("LISTEN_FDS", count);
  Deno.env.set("LISTEN_PID", String(Deno.pid));
  await listenFds().catch((error) => console.log(error.code, error.message));
}`;
  const result = await runCode(code, { flags: LEAST });
  const wrong = (got: string): string =>
    `protocol Cannot take the sockets of the service manager: LISTEN_FDS must be a number up to 1024, got "${got}"\n`;
  assertEquals(result, {
    code: 0,
    stdout: `0 false\n${["-1", "99999", "x", ""].map(wrong).join("")}`,
    stderr: "",
  });
});

Deno.test("numbers of nginx that are none, or one twice, are an error", async () => {
  const code = `import { nginxListeners } from "#/pipes/push/listen_fds.ts";
for (const text of ["3", "x;", "7;7;", "-1;", "123456;"]) {
  Deno.env.set("NGINX", text);
  await nginxListeners().catch((error) => console.log(error.code, Deno.env.has("NGINX"), error.message.split("got ")[1]));
}`;
  const result = await runCode(code, { flags: ["--no-prompt", "--allow-env=NGINX"] });
  const lines = ["3", "x;", "7;7;", "-1;", "123456;"].map((text) => `protocol false "${text}"\n`);
  assertEquals(result, { code: 0, stdout: lines.join(""), stderr: "" });
});

Deno.test("without the permission for the variables the error names it", async () => {
  const code = `import { listenFds } from "#/pipes/push/listen_fds.ts";
await listenFds().catch((error) => console.log(error.name, error.flags.join(" ")));`;
  const result = await runCode(code, { flags: ["--no-prompt"] });
  assertEquals(result, { code: 0, stdout: `PermissionError ${LEAST[1]}\n`, stderr: "" });
});

Deno.test("standard input that is no socket is left alone", async () => {
  const code = `import { inetdSocket } from "#/pipes/push/listen_fds.ts";
await inetdSocket().catch((error) => console.log(error.code));
console.log(Deno.stdin.isTerminal(), await Deno.stdin.read(new Uint8Array(9)));`;
  // The code itself comes by standard input, which has ended by then.
  const result = await runCode(code, { flags: ["--no-prompt"] });
  assertEquals(result, { code: 0, stdout: "kind\nfalse null\n", stderr: "" });
});
