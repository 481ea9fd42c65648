import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../pipes/ws.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import type { SessionServer } from "../pipes/resume/session_server.ts";
import { requires } from "./_require.ts";
import { cutProxy, firstDifference, pattern, until } from "./_serve_sessions.ts";

interface Mount extends AsyncDisposable {
  /** The sessions. */
  readonly sessions: SessionServer;
  /** The application's own server. */
  readonly port: number;
  /** Sessions that began. */
  readonly begun: SessionPipe[];
}

/** A server of HTTP with a page of its own and sessions under a path. */
async function mount(options: Parameters<typeof serveSessions>[1] = {}): Promise<Mount> {
  const sessions = await serveSessions(null, options);
  const begun: SessionPipe[] = [];
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request, info) => {
    if (new URL(request.url).pathname !== "/live") return new Response("a page");
    const { response, session } = sessions.upgrade(request, { info });
    void session.then((pipe) => pipe && begun.push(pipe));
    return response;
  });
  return {
    ...{ sessions, begun, port: http.addr.port },
    [Symbol.asyncDispose]: async () => {
      await sessions.close();
      await http.shutdown();
    },
  };
}

async function opened(port: number): Promise<SessionPipe> {
  return await connect(`resume+ws://127.0.0.1:${port}/live`, { retry: false }) as unknown as SessionPipe;
}

/** The pattern both ways, in pieces, while something happens; 0 bytes lost, doubled or moved. */
async function both(
  client: SessionPipe,
  server: SessionPipe,
  length: number,
  each: (done: number) => void,
): Promise<void> {
  const send = async (pipe: SessionPipe): Promise<void> => {
    for (let at = 0; at < length; at += 16_384) await pipe.send(pattern(Math.min(16_384, length - at), at));
    await pipe.closeWrite();
  };
  const receive = async (pipe: SessionPipe, tell: (done: number) => void): Promise<void> => {
    let done = 0;
    for await (const bytes of pipe.messages) {
      assertEquals(firstDifference(bytes, done), -1);
      done += bytes.length;
      tell(done);
    }
    assertEquals(done, length);
  };
  await Promise.all([send(client), send(server), receive(server, each), receive(client, () => {})]);
}

Deno.test("sessions in an application's own server go on when its connections are cut", async () => {
  await using mounted = await mount();
  await using proxy = cutProxy(mounted.port);
  assertEquals(await (await fetch(`http://127.0.0.1:${proxy.port}/`)).text(), "a page");
  await using client = await opened(proxy.port);
  await until("the session", () => mounted.begun.length === 1);
  const [session] = mounted.begun;
  assert(session);
  let cuts = 0;
  await both(client, session, 2_000_000, (done) => {
    if (done < (cuts + 1) * 500_000) return;
    cuts++;
    proxy.cut();
  });
  assert(session.session.resumes >= 1);
  assertEquals([mounted.begun.length, mounted.sessions.connections], [1, 1]);
  await Promise.all([client.close(), session.close()]);
  assertEquals(mounted.sessions.connections, 0);
});

Deno.test("a request for something else is answered, and never becomes a session", async () => {
  await using mounted = await mount();
  const at = `127.0.0.1:${mounted.port}/live`;
  const response = await fetch(`http://${at}`);
  assertEquals([response.status, response.headers.get("sec-websocket-protocol")], [426, "holdfast.1"]);
  await response.body?.cancel();
  const other = new WebSocket(`ws://${at}`, "chat");
  let opened = false;
  other.onopen = () => opened = true;
  await new Promise((resolve) => other.onclose = resolve);
  assertEquals(opened, false);
  assertEquals([mounted.begun.length, mounted.sessions.status().handshakes], [0, 0]);
});

Deno.test("a WebSocket that says nothing, or what is no session, is ended in time", async () => {
  await using mounted = await mount({ session: { handshakeTimeout: 100 } });
  const refused: unknown[] = [];
  mounted.sessions.on("refused", ({ error }) => refused.push(error));
  for (const words of [undefined, "GET / HTTP/1.1"]) {
    const socket = new WebSocket(`ws://127.0.0.1:${mounted.port}/live`, "holdfast.1");
    if (words !== undefined) socket.onopen = () => socket.send(words);
    await new Promise((resolve) => socket.onclose = resolve);
  }
  await until("the refusals", () => refused.length === 2);
  assertEquals(mounted.sessions.status().handshakes, 0);
});

Deno.test("a server of sessions that is closed answers no request", async () => {
  await using mounted = await mount();
  await mounted.sessions.close();
  const response = await fetch(`http://127.0.0.1:${mounted.port}/live`);
  assertEquals(response.status, 503);
  await response.body?.cancel();
  await assertRejects(() => opened(mounted.port));
});

/** A real nginx before a server. */
interface Nginx extends AsyncDisposable {
  readonly port: number;
  /** Loads its configuration anew: new workers come, and the old ones go at once. */
  reload(): void;
  /** The processes that work now. */
  workers(): Promise<readonly string[]>;
}

async function nginx(target: number, directives: string): Promise<Nginx> {
  const directory = await Deno.makeTempDir();
  using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  await Deno.writeTextFile(
    `${directory}/nginx.conf`,
    `
    pid ${directory}/pid; error_log ${directory}/error.log warn; daemon off; worker_processes 1;
    worker_shutdown_timeout 1s;
    events { worker_connections 64; }
    http {
      access_log off; client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b;
      fastcgi_temp_path ${directory}/c; uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://127.0.0.1:${target}; proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
          ${directives}
        }
      }
    }`,
  );
  const child = new Deno.Command("nginx", {
    args: ["-c", `${directory}/nginx.conf`, "-p", directory, "-e", `${directory}/error.log`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const answers = async (): Promise<boolean> => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      return false;
    }
  };
  let up = false;
  for (let turn = 0; turn < 500 && !up; turn++) {
    up = await answers();
    if (!up) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (!up) throw new Error("Cannot go on: nginx did not start");
  return {
    port,
    reload: () => child.kill("SIGHUP"),
    workers: async () => {
      const list = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
      return list.trim().split(" ");
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await child.status;
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test({
  name: "behind nginx a session outlives the reload of its workers: 0 bytes lost",
  ...requires({ tools: ["nginx"] }),
  fn: async () => {
    await using mounted = await mount();
    await using proxy = await nginx(mounted.port, "proxy_read_timeout 60s;");
    await using client = await opened(proxy.port);
    await until("the session", () => mounted.begun.length === 1);
    const [session] = mounted.begun;
    assert(session);
    const before = await proxy.workers();
    const suspended = Promise.withResolvers<void>();
    client.on("suspended", () => suspended.resolve());
    const resumed = Promise.withResolvers<void>();
    client.on("resumed", () => resumed.resolve());
    // The worker waits for its connections for a second, and then ends them; the bytes go on through that.
    proxy.reload();
    let stop = false;
    void resumed.promise.then(() => stop = true);
    let sent = 0;
    const sending = (async () => {
      while (!stop || sent < 1_000_000) {
        await Promise.all([client.send(pattern(4096, sent)), session.send(pattern(4096, sent))]);
        sent += 4096;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await Promise.all([client.closeWrite(), session.closeWrite()]);
    })();
    const receive = async (pipe: SessionPipe): Promise<number> => {
      let done = 0;
      for await (const bytes of pipe.messages) {
        assertEquals(firstDifference(bytes, done), -1);
        done += bytes.length;
      }
      return done;
    };
    const [atServer, atClient] = await Promise.all([
      receive(session),
      receive(client),
      sending,
      suspended.promise,
    ]);
    assertEquals([atServer, atClient], [sent, sent]);
    assert((await proxy.workers()).every((one) => !before.includes(one)));
    assertEquals(session.session.resumes, 1);
    await Promise.all([client.close(), session.close()]);
  },
});

Deno.test({
  name: "behind nginx a session outlives proxy_read_timeout: 0 bytes lost",
  ...requires({ tools: ["nginx"] }),
  fn: async () => {
    await using mounted = await mount();
    await using proxy = await nginx(mounted.port, "proxy_read_timeout 300ms;");
    await using client = await opened(proxy.port);
    await until("the session", () => mounted.begun.length === 1);
    const [session] = mounted.begun;
    assert(session);
    let position = 0;
    for (let round = 0; round < 3; round++) {
      // Nobody says anything until nginx has had enough.
      const resumed = Promise.withResolvers<void>();
      using _registration = client.on("resumed", () => resumed.resolve());
      await resumed.promise;
      for (const [from, to] of [[client, session], [session, client]] as const) {
        await from.send(pattern(10_000, position));
        for (let got = 0; got < 10_000;) {
          const bytes = await to.recv() ?? new Uint8Array();
          assertEquals(firstDifference(bytes, position + got), -1);
          got += bytes.length;
        }
      }
      position += 10_000;
    }
    assert(client.session.resumes >= 3);
    await Promise.all([client.close(), session.close()]);
  },
});
