/** What carries sessions at the client, what it may do without, and what it refuses. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { HostAddress } from "../pipes/address.ts";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import { listen } from "../pipes/listen.ts";
import type { Link } from "../pipes/_link.ts";
import type { PipeBase } from "../pipes/pipe.ts";
import { PipeError } from "../pipes/pipe_error.ts";
import { SessionHandshakeError } from "../pipes/resume/handshake_error.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import { tcpTransport } from "../pipes/_tcp_transport.ts";
import type { PipeTransport } from "../pipes/_transport.ts";
import { webSocket } from "../pipes/ws.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { eventually } from "./_child.ts";
import { startProxy } from "./_proxy_server.ts";
import { requires } from "./_require.ts";
import { SessionServer } from "./_session_server.ts";

const text = (bytes: Uint8Array | null): string | null => bytes && new TextDecoder().decode(bytes);

function once<K extends Parameters<SessionPipe["on"]>[0]>(pipe: SessionPipe, type: K): Promise<void> {
  return new Promise((resolve) => {
    const registration = pipe.on(type, () => {
      registration[Symbol.dispose]();
      resolve();
    });
  });
}

/** A word each way, a cut, and a word each way again. */
async function talk(client: SessionPipe, server: SessionServer): Promise<void> {
  const { pipe } = await server.next();
  for (const word of ["one", "two"]) {
    await client.send(word);
    assertEquals(text(await pipe.recv()), word);
    await pipe.send(word);
    assertEquals(text(await client.recv()), word);
    if (word === "two") break;
    const resumed = once(client, "resumed");
    server.cut();
    await resumed;
  }
  assertEquals([client.resumable, client.session.resumes], [true, 1]);
  await Promise.all([client.close(), pipe.close()]);
  assertEquals(client.session.state, "closed");
}

Deno.test("a session goes on over Unix sockets", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await SessionServer.start(`unix:${folder}/s`);
    await talk(await connect(`resume+unix:${folder}/s`), server);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a session goes on over TLS, and says so", async () => {
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue();
  const tls = { cert, key, alpnProtocols: ["holdfast/1"] };
  await using server = await SessionServer.start("tls://127.0.0.1:0", { tls });
  const client = await connect(server.url.replace("127.0.0.1", "localhost") as `resume+tls://${string}`, {
    tls: { caCerts: [authority.cert] },
  });
  assertEquals(client.session.secrecy, "tls");
  await talk(client, server);
});

for (const scheme of ["ws", "wss"] as const) {
  Deno.test(`a session goes on over ${scheme}:`, async () => {
    const authority = await makeTestAuthority();
    const { cert, key } = await authority.issue();
    await using server = await SessionServer.start(`${scheme}://127.0.0.1:0/live`, {
      tls: { cert, key },
      transports: [webSocket({ protocols: ["holdfast.1"] })],
    });
    const url = server.url.replace("127.0.0.1", "localhost") as `resume+ws://${string}`;
    const client = await connect(url, { tls: { caCerts: [authority.cert] }, transports: [webSocket()] });
    assertEquals(client.session.secrecy, scheme === "wss" ? "tls" : "plain");
    await talk(client, server);
  });
}

Deno.test({
  name: "a session goes on over the standard input and output of commands",
  ...requires({ tools: ["socat"] }),
  async fn() {
    await using server = await SessionServer.start("tcp://127.0.0.1:0");
    const exec = ["socat", "-", server.url.replace("resume+tcp://", "TCP:")];
    await talk(await connect("resume+exec:", { exec }), server);
  },
});

Deno.test("a session goes on through a proxy, where it is protected or allowed in the open", async () => {
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  const proxy = startProxy({ kind: "http" });
  try {
    const url = server.url as `resume+tcp://${string}`;
    const options = { proxy: `http://127.0.0.1:${proxy.port}`, retry: false } as const;
    const error = await assertRejects(() => connect(url, options), TypeError);
    assertStringIncludes(error.message, "through a proxy: nothing protects it");
    await talk(await connect(url, { ...options, session: { plain: true } }), server);
    assertEquals(proxy.asked.length, 3);
  } finally {
    await proxy[Symbol.asyncDispose]();
  }
});

/** Carries `tcp:` from where a test says. */
function tap(around: (dial: () => Promise<Link>, signal: AbortSignal) => Promise<Link>): PipeTransport {
  return {
    ...tcpTransport,
    dial: (url, options) => {
      const dial = tcpTransport.dial(url, options);
      return ({ signal }) => around(() => dial({ signal }), signal);
    },
  };
}

Deno.test("nothing goes unprotected to an address that is not private, whatever the name says", async () => {
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  const links: Link[] = [];
  const wrote: number[] = [];
  const far = tap(async (dial) => {
    const link = await dial();
    links.push(link);
    return Object.create(link, {
      remoteAddress: { value: { transport: "tcp", hostname: "203.0.113.7", port: 7000 } },
      write: {
        value: (data: Uint8Array) => {
          wrote.push(data.length);
          return link.write(data);
        },
      },
      fill: { value: undefined },
      read: { value: (buffer: Uint8Array<ArrayBuffer>) => link.read(buffer) },
      abort: { value: () => link.abort() },
      close: { value: () => link.close() },
    });
  });
  const url = server.url.replace("127.0.0.1", "localhost") as `resume+tcp://${string}`;
  const error = await assertRejects(() => connect(url, { transports: [far] }), TypeError);
  assertStringIncludes(
    error.message,
    "Cannot make a session with tcp://203.0.113.7:7000: nothing protects it",
  );
  assertEquals([links.length, wrote], [1, []]);
  const client = await connect(url, { transports: [far], session: { plain: true } });
  assert(wrote.length > 0);
  client.abort();
});

Deno.test("an ordinary server over TLS is refused, or with prefer makes an ordinary pipe", async () => {
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue();
  await using server = await listen("tls://127.0.0.1:0", { tls: { cert, key } });
  const url = `resume+${server.url.replace("127.0.0.1", "localhost")}` as `resume+tls://${string}`;
  const tls = { caCerts: [authority.cert] };
  const error = await assertRejects(() => connect(url, { tls }), PipeError);
  assertStringIncludes(error.message, "it offers none");
  const pipe = await connect(url, { tls, resume: "prefer" });
  assertEquals(pipe.resumable as boolean, false);
  await pipe.send("hello");
  const accepted: PipeBase<"tls", HostAddress>[] = [];
  for await (const one of server) {
    if (accepted.push(one) === 2) break;
  }
  const [refused, ordinary] = accepted;
  await refused?.recv().catch(() => null);
  assertEquals(text(await ordinary?.recv() ?? null), "hello");
  await Promise.all(accepted.map((one) => one.close()));
  await pipe.close();
});

Deno.test("an ordinary WebSocket server is refused, or with prefer makes an ordinary pipe", async () => {
  const transports = [webSocket()];
  await using server = await listen("ws://127.0.0.1:0", { transports });
  const url = `resume+${server.url}` as `resume+ws://${string}`;
  await assertRejects(() => connect(url, { transports }), PipeError, "it offers none");
  const pipe = await connect(url, { transports, resume: "prefer" });
  assertEquals(pipe.resumable as boolean, false);
  await pipe.close();
});

Deno.test("a server that has sessions gives one with prefer as well", async () => {
  await using server = await SessionServer.start("ws://127.0.0.1:0", {
    transports: [webSocket({ protocols: ["holdfast.1"] })],
  });
  const url = server.url as `resume+ws://${string}`;
  await talk(await connect(url, { resume: "prefer", transports: [webSocket()] }), server);
});

Deno.test("what makes no sense is said before anybody is connected to", async () => {
  const at = "resume+tcp://127.0.0.1:9";
  const session = (session: unknown): ConnectOptions => ({ session } as ConnectOptions);
  const key = new Uint8Array(32);
  for (
    const [url, options, message] of [
      [at, session(7), "session must be an object"],
      [at, { resume: "always" } as unknown as ConnectOptions, 'resume must be "require", "prefer" or "off"'],
      [at, session({ window: 1 }), "Cannot wish for a window of 1: it must be an integer, 65536 to 67108864"],
      [at, session({ expiry: -1 }), "Cannot wish for a expiry of -1"],
      [at, session({ keepalive: 0.5 }), "Cannot wish for a keepalive of 0.5"],
      [at, session({ plain: "yes" }), 'plain must be true or false, got "yes"'],
      [at, session({ greeting: "x".repeat(257) }), "Cannot greet with 257 bytes: 256 at most"],
      [at, session({ greeting: 7 }), "greeting must be text or bytes"],
      [at, session({ endpoints: "tcp://a:1" }), "endpoints must be a list of URLs"],
      [at, session({ endpoints: [7] }), "endpoints must be a list of URLs"],
      [at, session({ endpoints: ["tcp://a"] }), "the port is missing"],
      [at, session({ endpoints: ["udp://a:1"] }), "udp: cannot carry any"],
      [at, session({ seal: {} }), "Cannot"],
      [at, session({ seal: { key: new Uint8Array(31) } }), "Cannot"],
      [at, { resume: "prefer" }, 'nobody can be asked for one, so resume cannot be "prefer"'],
      ["resume+udp://127.0.0.1:9", {}, "udp: cannot carry any"],
      ["resume+memory:x", {}, "memory: cannot carry any"],
      ["resume+tls://a:1", { resume: "prefer", ...session({ seal: { key } }) }, "would not be sealed"],
      ["resume+tls://a:1", { resume: "prefer", ...session({ endpoints: ["tls://b:1"] }) }, "with endpoints"],
    ] as const
  ) {
    const error = await assertRejects(() => connect(url, options), Error);
    assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
    assertStringIncludes(error.message, message);
  }
});

Deno.test("a server that is silent is given up after five seconds, and one that is slow to connect to after ten", async () => {
  const clock = new FakeClock();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `resume+tcp://127.0.0.1:${listener.addr.port}` as const;
  const silent = assertRejects(() => connect(url, { clock, retry: false }), PipeError);
  const conn = await listener.accept();
  // Its first words are there before the time passes.
  assert((await conn.read(new Uint8Array(1024)) ?? 0) > 0);
  await clock.tickAsync(5000);
  assertEquals((await silent).failure?.kind, "timeout");
  assertEquals(await conn.read(new Uint8Array(1024)).catch(() => null), null, "it was closed");
  conn.close();
  listener.close();
  const never = tap((_dial, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  const slow = assertRejects(() => connect(url, { clock, retry: false, transports: [never] }), PipeError);
  await clock.tickAsync(10_000);
  assertEquals((await slow).failure?.kind, "timeout");
  assertEquals(clock.pending, 0);
});

Deno.test("calling off while the other end is waited for closes the connection", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const reason = new Error("Cannot wait any longer");
  const opening = connect(`resume+tcp://127.0.0.1:${listener.addr.port}`, { signal: controller.signal });
  const conn = await listener.accept();
  assert((await conn.read(new Uint8Array(1024)) ?? 0) > 0);
  controller.abort(reason);
  assertEquals(await opening.catch((error) => error), reason);
  assertEquals(await conn.read(new Uint8Array(1024)).catch(() => null), null);
  conn.close();
  listener.close();
});

Deno.test("somebody else who listens there is found out, and not asked again", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let count = 0;
  const serving = (async () => {
    for await (const conn of listener) {
      count++;
      await conn.read(new Uint8Array(1024));
      await conn.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"));
      conn.close();
    }
  })();
  const url = `resume+tcp://127.0.0.1:${listener.addr.port}` as const;
  const error = await assertRejects(() => connect(url), SessionHandshakeError);
  assertEquals([error.reason, count], ["foreign", 1]);
  listener.close();
  await serving;
});

Deno.test("the next endpoint is tried when one fails, and the one that worked is the first the next time", async () => {
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  const dials: string[] = [];
  const counting: PipeTransport = {
    ...tcpTransport,
    dial: (url, options) => {
      const dial = tcpTransport.dial(url, options);
      return (how) => {
        dials.push("port" in url ? `${url.port}` : "");
        return dial(how);
      };
    },
  };
  const dead = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = dead.addr;
  dead.close();
  const client = await connect(`resume+tcp://127.0.0.1:${port}`, {
    transports: [counting],
    session: { endpoints: [server.url] },
  });
  const good = new URL(server.url.replace("resume+tcp", "http")).port;
  assertEquals(dials, [`${port}`, good]);
  await talk(client, server);
  assertEquals(dials, [`${port}`, good, good]);
});

Deno.test("without a server attempts come at once, then later and later, up to fifteen seconds", async () => {
  const clock = new FakeClock();
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  const at: number[] = [];
  let refuses = false;
  const failing = tap((dial) => {
    if (!refuses) return dial();
    at.push(clock.monotonic());
    return Promise.reject(new Deno.errors.ConnectionRefused("Connection refused (os error 111)"));
  });
  const random = Math.random;
  // Full jitter: of the whole span, here nearly all.
  Math.random = () => 0.999;
  try {
    const client = await connect(server.url as `resume+tcp://${string}`, {
      clock,
      transports: [failing],
      session: { expiry: 60_000 },
    });
    refuses = true;
    const suspended = once(client, "suspended");
    server.cut();
    await suspended;
    const lost = assertRejects(() => client.recv(), PipeError, "it had no connection for 60000 ms");
    for (let n = 0; n < 600; n++) await clock.tickAsync(100);
    await lost;
  } finally {
    Math.random = random;
  }
  const waits = at.map((time, n) => Math.round((time - (at[n - 1] ?? 0)) / 250) * 250);
  assertEquals(waits, [0, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  await eventually("the last timers to be gone", () => clock.pending === 0);
});

Deno.test("a server that throws everybody out at once is not run against", async () => {
  const clock = new FakeClock();
  await using server = await SessionServer.start("tcp://127.0.0.1:0");
  const client = await connect(server.url as `resume+tcp://${string}`, { clock });
  await server.next();
  let resumes = 0;
  client.on("resumed", () => {
    resumes++;
    server.cut();
  });
  const suspended = once(client, "suspended");
  server.cut();
  await suspended;
  // Time stands still, so only those come that wait for nothing.
  await eventually(
    "the attempts without a wait",
    () => resumes === 2 && client.session.state === "suspended",
  );
  await clock.tickAsync(0);
  assertEquals([resumes, server.links.length], [2, 3]);
  await clock.tickAsync(250);
  await eventually("the next attempt", () => resumes === 3 && client.session.state === "suspended");
  assertEquals(server.links.length, 4);
  client.abort();
});
