/** Proxies that are not ours: tinyproxy and microsocks, with logins and without, and what they refuse. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect, type ConnectOptions } from "../pipes/connect.ts";
import { lines } from "../pipes/framing.ts";
import { listen } from "../pipes/listen.ts";
import { PipeError } from "../pipes/pipe_error.ts";
import { webSocket } from "../pipes/ws.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { eventually } from "./_child.ts";
import { requires } from "./_require.ts";

const tinyproxy = requires({ tools: ["tinyproxy"] });
const microsocks = requires({ tools: ["microsocks"] });

/** A proxy that runs on 127.0.0.1. */
interface Proxy extends AsyncDisposable {
  readonly port: number;
}

function freePort(hostname = "127.0.0.1"): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}

async function started(command: string, args: readonly string[], port: number): Promise<Proxy> {
  const child = new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" }).spawn();
  await eventually(`${command} to listen`, async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return false;
      throw error;
    }
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

async function startTinyproxy(...more: readonly string[]): Promise<Proxy> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-proxy-" });
  const port = freePort();
  const text = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", ...more].join("\n");
  await Deno.writeTextFile(`${folder}/conf`, `${text}\n`);
  const proxy = await started("tinyproxy", ["-d", "-c", `${folder}/conf`], port);
  return {
    ...proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function startMicrosocks(...more: readonly string[]): Promise<Proxy> {
  const port = freePort();
  return started("microsocks", ["-i", "127.0.0.1", "-p", `${port}`, ...more], port);
}

const authority = await makeTestAuthority();
const certificate = await authority.issue();

/** Sends lines there and back over each of the four transports. */
async function talkThrough(proxy: string): Promise<void> {
  const tls = { caCerts: [authority.cert] };
  const common = { framing: lines(), transports: [webSocket()] };
  for (const url of ["tcp://127.0.0.1:0", "tls://127.0.0.1:0", "ws://127.0.0.1:0/x", "wss://127.0.0.1:0/x"]) {
    await using server = await listen(url, { ...common, tls: certificate });
    // A name, which somebody has to look up.
    const target = server.url.replace("127.0.0.1", "localhost");
    await using pipe = await connect(target, { ...common, tls, proxy, retry: false });
    await pipe.send("there");
    for await (const accepted of server) {
      assertEquals(new TextDecoder().decode(await accepted.recv() ?? undefined), "there");
      await accepted.send("x".repeat(100_000));
      assertEquals((await pipe.recv())?.length, 100_000);
      await accepted.close();
      break;
    }
    assertEquals(await pipe.recv(), null);
  }
}

async function failure(proxy: string, port: number, options: ConnectOptions = {}): Promise<PipeError> {
  const target = `tcp://127.0.0.1:${port}`;
  const error = await assertRejects(() => connect(target, { retry: false, proxy, ...options }), PipeError);
  assertEquals(Deno.inspect(error, { depth: 20 }).includes("s3cret"), false);
  return error;
}

Deno.test({
  name: "tinyproxy: all that goes by TCP goes through it",
  ...tinyproxy,
  async fn() {
    await using proxy = await startTinyproxy();
    await talkThrough(`http://127.0.0.1:${proxy.port}`);
  },
});

Deno.test({
  name: "tinyproxy: a login is asked for, taken and refused, and a port that is not allowed is told",
  ...tinyproxy,
  async fn() {
    await using proxy = await startTinyproxy("BasicAuth user s3cret");
    await talkThrough(`http://user:s3cret@127.0.0.1:${proxy.port}`);
    for (const login of ["", "user:wrong-s3cret@"]) {
      const error = await failure(`http://${login}127.0.0.1:${proxy.port}`, 9);
      // It answers 401 to a wrong one, and 407 where there is none.
      assertEquals(error.code, "proxy-auth");
    }
    await using strict = await startTinyproxy("ConnectPort 443");
    const error = await failure(`http://127.0.0.1:${strict.port}`, 9);
    assertEquals(error.code, "proxy-refused");
    assertStringIncludes(error.message, "status 403");
  },
});

Deno.test({
  name: "tinyproxy: a server that is not there is told as the proxy's failure",
  ...tinyproxy,
  async fn() {
    await using proxy = await startTinyproxy();
    const error = await failure(`http://127.0.0.1:${proxy.port}`, freePort());
    assertEquals([error.code, error.failure?.retry], ["proxy-unreachable", "later"]);
  },
});

Deno.test({
  name: "microsocks: all that goes by TCP goes through it, whoever looks names up",
  ...microsocks,
  async fn() {
    await using proxy = await startMicrosocks();
    for (const scheme of ["socks5", "socks5h"]) await talkThrough(`${scheme}://127.0.0.1:${proxy.port}`);
  },
});

Deno.test({
  name: "microsocks: a login is asked for, taken and refused",
  ...microsocks,
  async fn() {
    await using proxy = await startMicrosocks("-u", "user", "-P", "s3cret");
    await talkThrough(`socks5h://user:s3cret@127.0.0.1:${proxy.port}`);
    for (const login of ["", "user:wrong-s3cret@"]) {
      assertEquals((await failure(`socks5://${login}127.0.0.1:${proxy.port}`, 9)).code, "proxy-auth");
    }
  },
});

Deno.test({
  name: "microsocks: a server that is not there is told as the proxy's failure",
  ...microsocks,
  async fn() {
    await using proxy = await startMicrosocks();
    const error = await failure(`socks5://127.0.0.1:${proxy.port}`, freePort());
    assertEquals([error.code, error.failure?.retry], ["proxy-unreachable", "later"]);
    assertStringIncludes(error.message, "the server refuses the connection");
  },
});
