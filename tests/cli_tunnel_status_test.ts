/** `holdfast tunnel status`: asking a tunnel that runs, and telling it to do something. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { main } from "../cli/main.ts";
import { liveLine } from "../cli/tunnel_live.ts";
import { formatKey, makeSharedKey } from "../pipes/resume/key_text.ts";
import type { TunnelConnection } from "../pipes/tunnel/tunnel.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";
import { requires } from "./_require.ts";

/** Both ends as commands of this process, with a target of our own. */
async function commands() {
  const folder = await Deno.makeTempDir();
  const key = makeSharedKey();
  await Deno.writeTextFile(`${folder}/key`, formatKey(key), { mode: 0o600 });
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const start = async (...args: readonly string[]) => {
    const [stdout, stderr] = [new TextSink(), new TextSink()];
    const common = ["--key-file", `${folder}/key`, "--json"];
    const code = main(["tunnel", ...args, ...common], {
      ...{ stdout, stderr, signal: stop.signal, colors: false },
      stdin: new TextSource(""),
    });
    await Promise.race([stdout.has('listening"'), code]);
    const [first = "{}"] = stdout.text.split("\n");
    return { stdout, code, address: String(JSON.parse(first).address).replace("tcp://", "") };
  };
  const control = (side: string): readonly string[] => ["--control", `${folder}/${side}.sock`];
  const to = `127.0.0.1:${target.addr.port}`;
  const server = await start("serve", "--listen", "127.0.0.1:0", "--to", to, ...control("serve"));
  const client = await start(
    "connect",
    ...["--listen", "127.0.0.1:0", "--server", server.address, ...control("connect")],
  );
  return {
    ...{ folder, key, target, server, client, control },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([server.code, client.code]);
      target.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test({
  name:
    "a tunnel tells how it does, moves to new links, and ends with its last connection, by a socket for its owner only",
  ...requires({ os: ["linux", "darwin"] }),
  async fn() {
    await using all = await commands();
    const port = Number(all.client.address.split(":").at(-1));
    const program = await Deno.connect({ port });
    const target = await all.target.accept();
    await Promise.all([all.client.stdout.has('"open"'), all.server.stdout.has('"open"')]);
    for (const side of ["serve", "connect"]) {
      assertEquals(((await Deno.stat(`${all.folder}/${side}.sock`)).mode ?? 0) & 0o777, 0o600);
      const { code, stdout } = await runMain(["tunnel", "status", "--json", ...all.control(side)]);
      const status = JSON.parse(stdout);
      assertEquals([code, status.type, status.side, status.pid], [0, "tunnelstatus", side, Deno.pid]);
      assertEquals([status.key, status.draining], [all.key.fingerprint, false]);
      assertEquals(status.connections.length, 1);
      assertEquals([status.connections[0].state, stdout.includes(all.key.bytes.toBase64())], ["open", false]);
    }
    const moved = await runMain(["tunnel", "status", "--reconnect", ...all.control("connect")]);
    assertEquals(moved.code, 0);
    await all.client.stdout.has('"migrated"');
    const cannot = await runMain(["tunnel", "status", "--reconnect", ...all.control("serve")]);
    assertEquals(cannot.code, 1);
    assertStringIncludes(cannot.stderr, "only the client's end can connect");
    const draining = await runMain(["tunnel", "status", "--drain", "--json", ...all.control("connect")]);
    assertEquals(JSON.parse(draining.stdout).draining, true);
    target.close();
    assertEquals(await program.read(new Uint8Array(1)), null);
    program.close();
    assertEquals(await all.client.code, 0);
    const gone = await runMain(["tunnel", "status", ...all.control("connect")]);
    assertEquals(gone.code, 1);
    assertStringIncludes(gone.stderr, "no tunnel runs there");
  },
});

Deno.test({
  name:
    "what talks nonsense to the control socket harms nothing, and a socket that a dead process left is replaced",
  ...requires({ os: ["linux", "darwin"] }),
  async fn() {
    await using all = await commands();
    const path = `${all.folder}/serve.sock`;
    for (const text of ["\n", "nonsense\n", '{"command":"rm"}\n', "x".repeat(4000)]) {
      using conn = await Deno.connect({ transport: "unix", path });
      await conn.write(new TextEncoder().encode(text)).catch(() => {}); // it may have had enough
      const answer = await new Response(conn.readable).text().catch(() => "");
      assert(answer === "" || answer.includes('"error"'), answer);
    }
    assertEquals((await runMain(["tunnel", "status", ...all.control("serve")])).code, 0);
    const other = `${all.folder}/other.sock`;
    // What a process that was killed leaves: a name that nobody listens at.
    Deno.listen({ transport: "unix", path: other }).close();
    await runMain(["tunnel", "key", `${all.folder}/second`]);
    const stop = new AbortController();
    const stdout = new TextSink();
    const running = main([
      ...["tunnel", "serve", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--control", other],
      ...["--key-file", `${all.folder}/second`, "--json"],
    ], { stdout, stderr: new TextSink(), stdin: new TextSource(""), signal: stop.signal });
    await stdout.has('listening"');
    const { code } = await runMain(["tunnel", "status", "--control", other]);
    stop.abort();
    await running;
    assertEquals(code, 0);
  },
});

Deno.test("the line at the terminal says how many connections wait, for how long, and what went through", () => {
  const one: TunnelConnection = {
    ...{ id: "", target: null, from: "", key: null, since: 0, resumes: 0 },
    ...{ state: "open", sent: 1536, received: 10, roundTrip: 23.4, suspended: 0 } as const,
  };
  assertEquals(liveLine([]), "0 open | 0 B there, 0 B back");
  assertEquals(liveLine([one]), "1 open | 1.5 KiB there, 10 B back | 23 ms");
  const waiting: TunnelConnection = { ...one, state: "suspended", suspended: 12_000, roundTrip: null };
  assertEquals(
    liveLine([one, waiting]),
    "1 open | 1 waiting for the link, 12s | 3.0 KiB there, 20 B back | 23 ms",
  );
});
