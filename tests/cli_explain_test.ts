/** `holdfast explain` on messages as they are pasted. */

import { assert, assertEquals } from "@std/assert";
import { scenarioOf, scenarios } from "../recover/scenarios/mod.ts";
import { denoArgs, runMain } from "./_cli.ts";

/** What a person pastes, and what it is. */
const PASTED: readonly (readonly [text: string, scenario: string, os?: string])[] = [
  [
    "error: Uncaught (in promise) ConnectionRefused: Connection refused (os error 111)",
    "port-closed",
    "linux",
  ],
  ["Error: connect ECONNREFUSED 127.0.0.1:5432", "port-closed"],
  [
    "No connection could be made because the target machine actively refused it. (os error 10061)",
    "port-closed",
    "windows",
  ],
  [
    "TypeError: fetch failed: error sending request: No route to host (os error 113)",
    "gateway-silent",
    "linux",
  ],
  ["Error: listen EACCES: permission denied 0.0.0.0:80", "port-privileged"],
  ["Network is unreachable (os error 101)", "no-default-route", "linux"],
  [
    "failed to lookup address information: Name or service not known",
    "name-unknown",
  ],
  ["failed to lookup address information: Temporary failure in name resolution", "resolver-failure"],
  ["Error: getaddrinfo EAI_AGAIN api.example.com", "resolver-failure"],
  [
    "TypeError: error sending request for url (https://expired.example/): client error (Connect): " +
    "invalid peer certificate: certificate expired: verification time 1760000000 (UNIX)",
    "certificate-time",
  ],
  ["InvalidData: invalid peer certificate: UnknownIssuer", "certificate-issuer"],
  ["InvalidData: received corrupt message of type InvalidContentType", "not-tls"],
  [
    "AddrInUse: Address already in use (os error 98)\n    at listen (ext:deno_net/01_net.js:576:35)",
    "address-in-use",
  ],
  [
    "error: Uncaught (in promise) PermissionDenied: Permission denied (os error 13)\n" +
    "    at listen (ext:deno_net/01_net.js:1:7011)\n    at serveInner (ext:deno_http/00_serve.ts:1:16735)",
    "port-privileged",
  ],
  [
    'NotCapable: Requires net access to "example.com:443", run again with the --allow-net flag',
    "permission-missing",
  ],
  ["TypeError: error reading a body from connection", "body-cut"],
  ["UnexpectedEof: peer closed connection without sending TLS close_notify", "tls-truncated"],
  ["nf_conntrack: nf_conntrack: table full, dropping packet", "kernel-table-full"],
];

for (const [text, scenario, os] of PASTED) {
  const first = text.split("\n")[0];
  Deno.test(`holdfast explain knows "${first}"${os ? ` of ${os}` : ""}`, async () => {
    const { code, stdout, stderr } = await runMain(["explain", "--json", ...(os ? ["--os", os] : []), text]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(JSON.parse(stdout.split("\n")[0] ?? "").scenario, scenario);
  });
}

Deno.test("holdfast explain finds each scenario by its name and by its number, and nothing else then", async () => {
  for (const { id, number } of scenarios) {
    for (const name of [id, number, number.toLowerCase()]) {
      const { code, stdout } = await runMain(["explain", "--json", name]);
      const found = stdout.trim().split("\n").map((line) => JSON.parse(line).scenario);
      assertEquals([code, found], [0, [id]]);
    }
  }
});

Deno.test("holdfast explain finds each scenario by each of its terms", async () => {
  const { findScenarios } = await import("../cli/find_scenarios.ts");
  for (const { id, searchTerms } of scenarios) {
    for (const term of searchTerms) {
      const found = findScenarios(term, "linux").map(({ scenario }) => scenario.id);
      assert(found.includes(id), `"${term}" finds ${found.join(", ")}, and not ${id}`);
    }
  }
});

Deno.test("holdfast explain reads a number as the system named means it", async () => {
  const first = async (os: string, number: string): Promise<string> => {
    const { stdout } = await runMain(["explain", "--json", "--os", os, number]);
    return JSON.parse(stdout.split("\n")[0] ?? "").scenario;
  };
  assertEquals(await first("linux", "104"), "reset-by-peer");
  assertEquals(await first("darwin", "54"), "reset-by-peer");
  assertEquals(await first("windows", "64"), "reset-by-peer");
  assertEquals(await first("darwin", "64"), "gateway-silent");
});

Deno.test("holdfast explain tells people symptom, cause, detection, remedy and code, in this order", async () => {
  const { code, stdout, stderr } = await runMain(["explain", "ECONNREFUSED"]);
  assertEquals([code, stderr], [0, ""]);
  const { title, code: snippet } = scenarioOf("port-closed");
  const places = [
    title,
    "port-closed (F16)",
    "You see",
    "Because",
    "To be sure",
    "What to do",
    snippet.split("\n")[0] ?? "",
    "It may also be",
    "firewall-rejects",
  ].map((text) => stdout.indexOf(text));
  assertEquals(places, places.toSorted((a, b) => a - b));
  assert(!places.includes(-1), stdout);
  assertEquals(stdout.split("\n").filter((line) => line.length > 110), []);
});

Deno.test("holdfast explain --all lists every scenario in one line", async () => {
  const { code, stdout } = await runMain(["explain", "--all"]);
  assertEquals([code, stdout.trimEnd().split("\n").length], [0, scenarios.length]);
});

/** Runs `holdfast explain -` without any permission, with something on its standard input. */
async function explainInput(
  chunks: Iterable<string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: denoArgs(["explain", "--os", "linux", "-"], []),
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  for (const chunk of chunks) await writer.write(new TextEncoder().encode(chunk));
  await writer.close();
  const { code, stdout, stderr } = await output;
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("holdfast explain - reads standard input and repeats nothing that could steer a terminal", async () => {
  const { code, stdout, stderr } = await explainInput([
    "\x1b]0;title\x07 boom\n",
    "Connection reset by peer (os error 104)\n",
  ]);
  assertEquals([code, stderr], [0, ""]);
  assert(stdout.startsWith(`${scenarioOf("reset-by-peer").title}\n`), stdout);
  assert(!stdout.includes("\x1b") && !stdout.includes("\x07"));
});

Deno.test("holdfast explain - takes the end of a long input, and what was before it says nothing", async () => {
  const noise = Array.from({ length: 200 }, () => "Address already in use ".repeat(50) + "\n");
  const { code, stdout } = await explainInput([
    ...noise,
    "all fine\n".repeat(500),
    "Broken pipe (os error 32)\n",
  ]);
  assertEquals(code, 0);
  assert(stdout.startsWith(`${scenarioOf("end-without-goodbye").title}\n`), stdout);
  assert(!stdout.includes("address-in-use"), stdout);
});

Deno.test("holdfast explain - says that there is no text when standard input is empty", async () => {
  const { code, stdout, stderr } = await explainInput([]);
  assertEquals([code, stdout], [2, ""]);
  assert(stderr.startsWith('holdfast: Cannot run "holdfast explain": there is no text\n'), stderr);
});
