/** The golden table of mistakes with `holdfast tunnel`: what is typed, or wrong in the world, and exactly what is said about it. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { formatKey, formatPublicKey, makeKeyPair, makeSharedKey } from "../pipes/resume/key_text.ts";
import { serveTunnel } from "../pipes/tunnel/serve_tunnel.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { runMain, TextSource } from "./_cli.ts";

interface Mistake {
  /** What is typed behind `holdfast tunnel`. */
  readonly argv: readonly string[];
  /** The line on standard error, without `holdfast: Cannot run "holdfast tunnel ACTION": `. */
  readonly message: string;
  /** The line below it. */
  readonly hint: string;
}

const key = ["--key-file", "tunnel.key"];

const MISTAKES: readonly Mistake[] = [
  { argv: ["key"], message: "the argument FILE is missing", hint: 'Run "holdfast help tunnel"' },
  { argv: ["key", "a", "b"], message: 'extra argument "b"', hint: 'Run "holdfast help tunnel"' },
  { argv: ["key", "a", "--plain"], message: '"--plain" is not for it', hint: "It is for: serve, connect" },
  { argv: ["serve", "a"], message: 'extra argument "a"', hint: 'Run "holdfast help tunnel"' },
  {
    argv: ["serve", "--listen", ":7000", "--to", "127.0.0.1:22"],
    message: "it needs a key",
    hint:
      'Run "holdfast tunnel key tunnel.key", copy the file to the other end, and write "--key-file tunnel.key" at both',
  },
  {
    argv: ["serve", "--plain", ...key, "--listen", ":7000", "--to", "127.0.0.1:22"],
    message: '"--plain" has no key',
    hint: 'Leave out "--plain" or "--key-file"',
  },
  {
    argv: ["serve", "--plain", "--listen", ":7000"],
    message: "no target is allowed",
    hint: 'Write "--to HOST:PORT", for example "--to 127.0.0.1:22"',
  },
  {
    argv: ["serve", "--plain", "--to", "127.0.0.1:22"],
    message: 'it needs "--listen" once',
    hint: 'Write "--listen :7000", or with the address to listen on',
  },
  {
    argv: ["serve", "--plain", "--to", "127.0.0.1", "--listen", ":7000"],
    message: '"127.0.0.1": it is not HOST:PORT, with an IPv6 address in brackets',
    hint: "Write HOST:PORT, for example 127.0.0.1:22",
  },
  {
    argv: ["serve", "--plain", "--to", "127.1:22", "--listen", ":7000"],
    message: '"127.1:22": "127.1" is not a host',
    hint: "Write HOST:PORT, for example 127.0.0.1:22",
  },
  {
    argv: ["serve", "--plain", "--to", "udp://127.0.0.1:53", "--listen", ":7000"],
    message: '"udp://127.0.0.1:53": a tunnel carries streams, no UDP',
    hint:
      "What uses UDP mostly lives through a change of address by itself (QUIC, mosh); for the rest use WireGuard",
  },
  {
    argv: ["serve", "--plain", "--to", "127.0.0.1:22", "--listen", ":7000", "--tls-cert", "c.pem"],
    message: "TLS needs a certificate and its key",
    hint: 'Write "--tls-cert FILE" and "--tls-key FILE", both in PEM',
  },
  {
    argv: ["serve", "--plain", "--authorized", "keys", "--listen", ":7000"],
    message: '"--authorized" needs a key',
    hint: 'Leave out "--plain", and write "--key-file FILE"',
  },
  {
    argv: ["serve", "--plain", "--server", "host:7000"],
    message: '"--server" is not for it',
    hint: "It is for: connect",
  },
  {
    argv: ["connect", "--plain", "--listen", "2222"],
    message: "the server is missing",
    hint: 'Write "--server HOST:PORT"',
  },
  {
    argv: ["connect", "--plain", "--server", "host:7000"],
    message: "nothing is forwarded",
    hint: 'Write "--listen 127.0.0.1:PORT", or "--stdio"',
  },
  {
    argv: ["connect", "--plain", "--server", "host:7000", "--stdio", "--listen", "2222"],
    message: '"--stdio" has no "--listen"',
    hint: "Leave out one of them",
  },
  {
    argv: ["connect", "--plain", "--server", "host", "--listen", "2222"],
    message: '"host": it is not HOST:PORT, with an IPv6 address in brackets',
    hint: "Write HOST:PORT, for example 127.0.0.1:22",
  },
  {
    argv: ["connect", "--plain", "--server", "udp://host:7000", "--listen", "2222"],
    message: '"udp://host:7000": a tunnel carries streams, no UDP',
    hint:
      "What uses UDP mostly lives through a change of address by itself (QUIC, mosh); for the rest use WireGuard",
  },
  {
    argv: ["connect", "--plain", "--server", "host:7000", "--reverse", ":8080"],
    message: '"--reverse :8080" has no target',
    hint: 'Write "--reverse :8080=127.0.0.1:80"',
  },
];

for (const { argv, message, hint } of MISTAKES) {
  Deno.test(`holdfast tunnel ${argv.join(" ")}: the words for it`, async () => {
    const { code, stdout, stderr } = await runMain(["tunnel", ...argv]);
    const said = `holdfast: Cannot run "holdfast tunnel ${argv[0]}": ${message}\n  hint: ${hint}\n`;
    assertEquals([code, stdout, stderr], [2, "", said]);
  });
}

Deno.test("an unknown action names the nearest one", async () => {
  const { code, stderr } = await runMain(["tunnel", "conect"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'hint: Did you mean "connect"?');
});

/** A folder with a key, and a server in this process that has it. */
async function world() {
  const stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const shared = makeSharedKey();
  const file = `${folder}/tunnel.key`;
  await Deno.writeTextFile(file, formatKey(shared), { mode: 0o600 });
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  stack.defer(() => target.close());
  const to = [`127.0.0.1:${target.addr.port}`];
  const server = stack.use(await serveTunnel("tcp://127.0.0.1:0", { key: shared, to }));
  const at = (server.addresses[0] ?? "").replace("tcp://", "");
  return { folder, file, at, to, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Runs `connect` to its end. */
async function connect(...args: readonly string[]) {
  return await runMain(["tunnel", "connect", "--timeout", "5s", ...args]);
}

Deno.test("a key that is made is the owner's only, is never written over, and its words name no secret", async () => {
  await using all = await world();
  const file = `${all.folder}/new.key`;
  const made = await runMain(["tunnel", "key", file, "--pair", "--comment", "anna"]);
  assertEquals(made.code, 0);
  assertMatch(made.stdout, /^SHA256:\S{43}\nholdfast-public-key \S{44} anna\n/);
  assertEquals(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const secret = (await Deno.readTextFile(file)).split(" ")[1] ?? "";
  assertEquals([secret.length, made.stdout.includes(secret)], [44, false]);
  const again = await runMain(["tunnel", "key", file]);
  assertEquals([again.code, again.stdout], [1, ""]);
  assertStringIncludes(again.stderr, "it is there already and would be lost");
});

Deno.test("a key file that others can read is refused, with the command that mends it", async () => {
  await using all = await world();
  await Deno.chmod(all.file, 0o644);
  const { code, stderr } = await connect("--server", all.at, "--stdio", "--key-file", all.file);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `(its mode is 644), run: chmod 600 ${all.file}`);
});

Deno.test("a wrong key, a target that is not allowed, and what is no holdfast server end it with the reason", async () => {
  await using all = await world();
  const wrong = `${all.folder}/wrong.key`;
  await Deno.writeTextFile(wrong, formatKey(makeSharedKey()), { mode: 0o600 });
  await using foreign = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("no"),
  );
  const http = `127.0.0.1:${foreign.addr.port}`;
  for (const listen of [["--listen", "127.0.0.1:0"], ["--stdio"]]) {
    for (
      const [args, operation, why, hint] of [
        [
          ["--server", all.at, "--key-file", wrong],
          `open the tunnel by ${all.at}`,
          "it has another key",
          "See that both ends have the same key file",
        ],
        [
          ["--server", all.at, "--plain"],
          `open the tunnel by ${all.at}`,
          "one end has a key, and the other runs --plain",
          "Give both a key",
        ],
        [
          ["--server", all.at, "--key-file", all.file, "--to", "127.0.0.1:1"],
          `open the tunnel to 127.0.0.1:1 by ${all.at}`,
          "it is not allowed",
          'The server needs "--to" for it, or its list of keys',
        ],
        [
          ["--server", http, "--key-file", all.file],
          `open the tunnel by ${http}`,
          "what answers there is no holdfast server",
          "See what listens there",
        ],
      ] as const
    ) {
      const { code, stdout, stderr } = await connect(...listen, ...args);
      assertEquals([code, stdout, stderr], [
        1,
        "",
        `holdfast: Cannot ${operation}: ${why}\n  hint: ${hint}\n`,
      ]);
    }
  }
});

Deno.test("a port that is in use is named at both ends", async () => {
  await using all = await world();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${taken.addr.port}`;
  const there = await runMain([
    "tunnel",
    "serve",
    "--listen",
    address,
    "--to",
    ...all.to,
    "--key-file",
    all.file,
  ]);
  const here = await connect("--listen", address, "--server", all.at, "--key-file", all.file);
  for (const { code, stderr } of [there, here]) {
    assertEquals(code, 1);
    assertStringIncludes(stderr, `Cannot listen on tcp://${address}: Address already in use`);
  }
});

Deno.test("a key pair needs to know the other end, and a key that was taken off the list is out", async () => {
  await using all = await world();
  const pair = makeKeyPair();
  const file = `${all.folder}/pair.key`;
  await Deno.writeTextFile(file, formatKey(pair), { mode: 0o600 });
  const listen = ["--listen", "127.0.0.1:0", "--to", ...all.to];
  const serve = await runMain(["tunnel", "serve", "--key-file", file, ...listen]);
  assertStringIncludes(
    serve.stderr,
    'the key is a pair, and who is let in must be known\n  hint: Write "--authorized FILE"',
  );
  const unknown = await connect("--stdio", "--server", all.at, "--key-file", file);
  assertStringIncludes(
    unknown.stderr,
    'the key is a pair, and who the server is must be known\n  hint: Write "--server-key FILE.pub"',
  );
  const server = makeKeyPair();
  await Deno.writeTextFile(`${all.folder}/server.pub`, formatPublicKey(server), { mode: 0o644 });
  await using tunnel = await serveTunnel("tcp://127.0.0.1:0", { key: server, to: all.to, authorized: [] });
  const at = (tunnel.addresses[0] ?? "").replace("tcp://", "");
  const known = ["--key-file", file, "--server-key", `${all.folder}/server.pub`];
  const { code, stderr } = await connect("--stdio", "--server", at, ...known);
  assertEquals(code, 1);
  assertEquals(
    stderr,
    `holdfast: Cannot open the tunnel by ${at}: it does not let this key in\n  hint: Give the server's owner the public key\n`,
  );
});

Deno.test("a TLS certificate of another name, or of nobody known, ends it with that reason", async () => {
  await using all = await world();
  const authority = await makeTestAuthority();
  const { cert, key } = await authority.issue({ names: ["elsewhere.test"] });
  const shared = makeSharedKey();
  const file = `${all.folder}/tls.key`;
  await Deno.writeTextFile(file, formatKey(shared), { mode: 0o600 });
  await Deno.writeTextFile(`${all.folder}/ca.pem`, authority.cert);
  await using server = await serveTunnel("tls://127.0.0.1:0", {
    key: shared,
    to: all.to,
    tls: { cert, key },
  });
  const url = server.addresses[0] ?? "";
  const named = await connect("--stdio", "--server", url, "--key-file", file, "--ca", `${all.folder}/ca.pem`);
  assertEquals(named.code, 1);
  assertMatch(named.stderr, /invalid peer certificate: .*not valid for name/i);
  const unknown = await connect("--stdio", "--server", url, "--key-file", file);
  assertMatch(unknown.stderr, /invalid peer certificate: UnknownIssuer/);
});

Deno.test("--stdio carries standard input and output to the target", async () => {
  await using all = await world();
  using target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const shared = makeSharedKey();
  const file = `${all.folder}/one.key`;
  await Deno.writeTextFile(file, formatKey(shared), { mode: 0o600 });
  await using server = await serveTunnel("tcp://127.0.0.1:0", {
    key: shared,
    to: [`127.0.0.1:${target.addr.port}`],
  });
  const at = (server.addresses[0] ?? "").replace("tcp://", "");
  const serving = (async () => {
    using conn = await target.accept();
    const heard = await new Response(
      new ReadableStream({
        async pull(controller) {
          const buffer = new Uint8Array(1024);
          const count = await conn.read(buffer);
          if (count === null) controller.close();
          else controller.enqueue(buffer.subarray(0, count));
        },
      }),
    ).text();
    await conn.write(new TextEncoder().encode(`you said ${heard}`));
  })();
  const args = ["tunnel", "connect", "--stdio", "--server", at, "--key-file", file];
  const result = await runMain(args, undefined, new TextSource("hello"));
  await serving;
  assertEquals(result, { code: 0, stdout: "you said hello", stderr: "" });
});

Deno.test("a key may stand in a variable, and what is wrong with it is told without showing it", async () => {
  await using all = await world();
  const text = await Deno.readTextFile(all.file);
  const args = ["--stdio", "--server", all.at, "--to", "127.0.0.1:1"];
  try {
    Deno.env.set("HOLDFAST_TUNNEL_KEY", text);
    // It is let in, and no further.
    assertStringIncludes((await connect(...args)).stderr, "open the tunnel to 127.0.0.1:1");
    Deno.env.set("HOLDFAST_TUNNEL_KEY", `${text.trim().slice(0, -4)}#secret`);
    const { code, stderr } = await connect(...args);
    assertEquals([code, stderr.includes("secret"), stderr.includes(text.split(" ")[1]?.slice(0, 20) ?? "")], [
      1,
      false,
      false,
    ]);
    assertStringIncludes(
      stderr,
      "Cannot read the key in HOLDFAST_TUNNEL_KEY: line 1: what follows the first word is not base64",
    );
  } finally {
    Deno.env.delete("HOLDFAST_TUNNEL_KEY");
  }
});
