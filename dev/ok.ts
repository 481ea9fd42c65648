/**
 * The whole gate: `deno task ok [--no-test]`. One line per step with its time; the first step that fails shows its output and ends it.
 *
 * @module
 */

import { fileSystemPath, ROOT } from "./_files.ts";
import { killAllOnSignal, run } from "./_process.ts";
import { layeredFiles, npmPackages, runtimeEdges, violations } from "./layers.ts";

const HERE = fileSystemPath(ROOT);

/** A step: what is wrong, or nothing. */
interface Step {
  readonly name: string;
  readonly check: () => Promise<string | undefined>;
}

function deno(...args: readonly string[]): () => Promise<string | undefined> {
  return async () => {
    const { ok, output } = await run(Deno.execPath(), { args, cwd: HERE, bound: 600_000 });
    return ok ? undefined : `deno ${args.join(" ")}\n${output.trim()}`;
  };
}

async function entryPoints(): Promise<readonly string[]> {
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  return Object.values(exports as Record<string, string>);
}

/** The parsers of what comes from outside, and the fuzz that must reach into each of them. */
const FUZZED: Readonly<Record<string, readonly string[]>> = {
  "tests/stun_fuzz_test.ts": ["watch/_stun.ts"],
  "tests/netlink_fuzz_test.ts": ["watch/_netlink.ts"],
  "tests/resolv_fuzz_test.ts": ["watch/_resolv.ts"],
  "tests/ip_json_fuzz_test.ts": ["watch/_ip_json.ts"],
  "tests/darwin_fuzz_test.ts": [
    "watch/_route_socket.ts",
    "watch/_darwin_state.ts",
    "watch/_ifconfig.ts",
    "watch/_route_text.ts",
    "watch/_scutil.ts",
  ],
  "tests/windows_tables_fuzz_test.ts": ["watch/_windows_tables.ts"],
  "tests/powershell_fuzz_test.ts": ["watch/_powershell_json.ts"],
  "tests/classify_fuzz_test.ts": [
    "recover/_findings.ts",
    "recover/_reading.ts",
    "recover/_circumstances.ts",
    "recover/_answers.ts",
    "recover/_hostile.ts",
  ],
  "tests/proxy_fuzz_test.ts": ["pipes/_proxy_connect.ts", "pipes/_proxy_socks5.ts"],
  "tests/peek_fuzz_test.ts": [
    "pipes/push/peek_route.ts",
    "pipes/push/_peek_tls.ts",
    "pipes/push/_peek_http.ts",
    "pipes/push/_peek_proxy.ts",
  ],
  "tests/handshake_fuzz_test.ts": [
    "pipes/resume/_handshake_frames.ts",
    "pipes/resume/_handshake_carrier.ts",
    "pipes/resume/_client_handshake.ts",
    "pipes/resume/_server_handshake.ts",
  ],
  "tests/seal_fuzz_test.ts": [
    "pipes/resume/key_text.ts",
    "pipes/resume/_seal.ts",
    "pipes/resume/_seal_exchange.ts",
  ],
  "tests/signal_fuzz_test.ts": [
    "signal/_base32.ts",
    "signal/_channel.ts",
    "signal/_crypto.ts",
    "signal/_curve.ts",
    "signal/_notice.ts",
    "signal/_packet_window.ts",
    "signal/_sealed_channel.ts",
    "signal/_session_keys.ts",
    "signal/card.ts",
    "signal/envelope.ts",
    "signal/identity.ts",
  ],
  "tests/session_fuzz_test.ts": [
    "pipes/resume/_frames.ts",
    "pipes/resume/_snapshot.ts",
    "pipes/resume/_replay.ts",
  ],
};

/** Runs each fuzz by itself: at least nine of ten branches of its parsers must be taken. */
async function fuzzReaches(): Promise<string | undefined> {
  for (const [test, sources] of Object.entries(FUZZED)) {
    const wrong = await deno("run", "-A", "dev/fuzz_coverage.ts", test, "90", ...sources)();
    if (wrong) return wrong;
  }
}

const STEPS: readonly Step[] = [
  { name: "format", check: deno("fmt", "--check") },
  { name: "lint", check: deno("lint") },
  { name: "types", check: deno("check") },
  {
    name: "documentation of every export",
    check: async () => await deno("doc", "--lint", ...await entryPoints())(),
  },
  {
    name: "layers",
    check: async () => (await violationsHere()).join("\n") || undefined,
  },
  {
    name: "no npm package behind mod.ts",
    check: async () => (await npmPackages(ROOT, "mod.ts")).join("\n") || undefined,
  },
  { name: "generated documents", check: deno("run", "-A", "dev/docs.ts", "--check") },
  { name: "branches reached by fuzz alone", check: fuzzReaches },
  { name: "publishing, rehearsed", check: deno("run", "-A", "dev/stage.ts", "--dry-run") },
];

async function violationsHere(): Promise<readonly string[]> {
  return violations(await runtimeEdges(ROOT, await layeredFiles(ROOT)));
}

async function main(): Promise<number> {
  killAllOnSignal();
  for (const { name, check } of STEPS) {
    const start = performance.now();
    const wrong = await check();
    const took = `${((performance.now() - start) / 1000).toFixed(1)} s`.padStart(8);
    console.log(`${wrong === undefined ? "ok    " : "FAILED"} ${name.padEnd(32)} ${took}`);
    if (wrong !== undefined) {
      console.log(`\n${wrong}`);
      return 1;
    }
  }
  if (Deno.args.includes("--no-test")) return 0;
  console.log("       tests\n");
  // Last, and straight to the terminal, so that its closing count is the closing line of the gate.
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "dev/test.ts"],
    cwd: HERE,
  }).spawn().status;
  return code;
}

if (import.meta.main) Deno.exit(await main());
