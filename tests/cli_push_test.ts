/** `holdfast push` and `holdfast receive`, with each other and with foreign ends. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { main } from "../cli/main.ts";
import { pushTo } from "../pipes/push/push.ts";
import { runMain, TextSink, TextSource } from "./_cli.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"] });

interface Running {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stop: AbortController;
  readonly code: Promise<number>;
}

function start(...args: readonly string[]): Running {
  const [stdin, stdout, stderr] = [new TextSource(""), new TextSink(), new TextSink(true)];
  const stop = new AbortController();
  const code = main(args, { stdin, stdout, stderr, colors: false, signal: stop.signal });
  return { stdout, stderr, stop, code };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function ask(port: number, text: string): Promise<string> {
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(new TextEncoder().encode(text));
  await client.closeWrite();
  return await new Response(client.readable).text();
}

Deno.test({
  name: "holdfast push shares connections out, and holdfast receive runs a program for each",
  ...needs,
}, async () => {
  await withFolder(async (folder) => {
    const paths = ["a", "b"].map((name) => `${folder}/${name}`);
    const workers = paths.map((path) =>
      start("receive", path, "--exec", "sh", "--", "-c", `echo ${path.at(-1)}; cat`)
    );
    for (const { stderr } of workers) await stderr.has("Taking connections from");
    const front = start("push", "--listen", "127.0.0.1:0", ...paths.flatMap((path) => ["--to", path]));
    await front.stderr.has("Listening on tcp://");
    const port = Number(/Listening on tcp:\/\/127\.0\.0\.1:(\d+)/.exec(front.stderr.text)?.[1]);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => ask(port, `number ${index}`)));
    answers.forEach((answer, index) => assertMatch(answer, new RegExp(`^[ab]\\nnumber ${index}$`)));
    assertEquals(new Set(answers.map((answer) => answer[0])), new Set(["a", "b"]));
    for (const { stop, code } of [front, ...workers]) {
      stop.abort();
      assertEquals(await code, 130);
    }
  });
});

Deno.test({
  name: "what cannot become a program's standard input is told, and the next one is served",
  ...needs,
}, async () => {
  await withFolder(async (folder) => {
    const worker = start("receive", `${folder}/a`, "--exec", "cat", "--most", "1");
    await worker.stderr.has("Taking connections from");
    await using channel = await pushTo(`${folder}/a`);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (const prefix of ["read before", ""]) {
      const client = await Deno.connect({ port: listener.addr.port });
      await channel.push(await listener.accept(), { prefix: new TextEncoder().encode(prefix) });
      await client.write(new TextEncoder().encode("hello"));
      await client.closeWrite();
      const text = await new Response(client.readable).text().catch(({ name }) => name);
      if (prefix === "") assertEquals(text, "hello");
      else await worker.stderr.has("11 bytes were read from it before");
    }
    worker.stop.abort();
    assertEquals(await worker.code, 130);
  });
});

/** What ssh does with ProxyUseFdpass (its source: sshconnect.c): a socket pair as standard output, a byte and a descriptor from it. */
const SSH = `
import os, socket, subprocess, sys
ours, theirs = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdin=theirs, stdout=theirs)
theirs.close()
data, descriptors, _, _ = socket.recv_fds(ours, 1, 4)
assert len(data) == 1 and len(descriptors) == 1, (data, descriptors)
assert child.wait() == 0
connection = socket.socket(fileno=descriptors[0])
connection.setblocking(True)
connection.sendall(b"spoken by the other program: " + connection.recv(100))
connection.close()
`;

Deno.test({
  name: "holdfast receive --fdpass gives a connection to the program that has started it, as ssh wants it",
  ...requires({ os: ["linux"], tools: ["python3"] }),
}, async () => {
  await withFolder(async (folder) => {
    const program = new URL("../cli/main.ts", import.meta.url).pathname;
    const command = [
      Deno.execPath(),
      "run",
      "--no-check",
      "-A",
      program,
      "receive",
      `${folder}/a`,
      "--fdpass",
    ];
    const child = new Deno.Command("python3", {
      args: ["-c", SSH, ...command],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const told = new Response(child.stderr).text();
    await using channel = await pushTo(`${folder}/a`);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const client = await Deno.connect({ port: listener.addr.port });
    const conn = await listener.accept();
    for (let tries = 0;; tries++) {
      const pushed = await channel.push(conn).catch((error) => error);
      if (!(pushed instanceof Error)) break;
      assertEquals(
        pushed.message.includes("is there") || pushed.message.includes("nobody listens"),
        true,
        pushed.message,
      );
      assert(tries < 1000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client.write(new TextEncoder().encode("hello"));
    assertEquals(await new Response(client.readable).text(), "spoken by the other program: hello");
    assertEquals([(await child.status).code, await told], [0, ""]);
  });
});

Deno.test("mistakes in the use of holdfast push and receive are named", async () => {
  const mistakes: readonly (readonly [readonly string[], string])[] = [
    [["push"], '"--listen" is missing'],
    [["push", "--listen", "127.0.0.1:0"], "nobody is to get the connections"],
    [["push", "--listen", ":80", "--route", "sni:a"], '"sni:a" is no route'],
    [["push", "--listen", ":80", "--route", "path:a=/b"], '"path:a=/b" is no route'],
    [["receive", "/tmp/x"], 'one of "--exec" and "--fdpass" is needed'],
    [["receive", "/tmp/x", "--exec", "a", "--fdpass"], 'one of "--exec" and "--fdpass" is needed'],
    [["receive", "/tmp/x", "--fdpass", "--json"], "has standard output for itself"],
  ];
  for (const [args, text] of mistakes) {
    const { code, stderr } = await runMain(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, text);
  }
});

Deno.test({ name: "doctor tells the channels, and the way that each step takes", ...needs }, async () => {
  const { stdout } = await runMain(["doctor", "--json"]);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line)).filter(({ module }) =>
    module === "pipes/push"
  );
  const reasons = Object.fromEntries(
    lines.filter(({ type }) => type === "doctor").map(({ backend, reason }) => [backend, reason]),
  );
  assertEquals(reasons["channel scm"], "Unix sockets");
  assertEquals(reasons["detach"], "swap, http-abort");
  assertEquals(reasons["adopt stream"], "take-stream");
  assertEquals(reasons["adopt HTTP listener"], "Deno.serve");
});
