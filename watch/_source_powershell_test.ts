import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { holdProcess } from "../internal/clock.ts";
import { HoldfastError, ToolMissingError } from "../internal/errors.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { requires } from "../tests/_require.ts";
import { readArgs, watchArgs } from "./_powershell_scripts.ts";
import { openPowershellSource, powershellReader } from "./_source_powershell.ts";

const needs = requires({ os: ["linux"], tools: ["sh"] });
const FIXTURE = decodeURIComponent(
  new URL("../tests/fixtures/windows/powershell.json", import.meta.url).pathname,
);

/** A program in place of PowerShell, which does one thing for the reading script and another for the watching one. */
async function stand(reading: string, watching: string): Promise<{ tool: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-powershell-" });
  const tool = `${folder}/powershell.exe`;
  const cases = `case "$5" in ${readArgs()[4]}) ${reading} ;; ${
    watchArgs()[4]
  }) ${watching} ;; *) exit 9 ;; esac`;
  await Deno.writeTextFile(tool, `#!/bin/sh\n${cases}\n`, { mode: 0o755 });
  return { tool, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** A source's ears that can be waited with. */
function ears() {
  const said: string[] = [];
  let heard = Promise.withResolvers<void>();
  const say = (text: string): void => {
    said.push(text);
    heard.resolve();
    heard = Promise.withResolvers();
  };
  return {
    said,
    hint: () => say("hint"),
    overflow: () => say("overflow"),
    failed: (error: unknown) =>
      say(error instanceof HoldfastError ? `${error.code}: ${error.message}` : `${error}`),
    async until(count: number): Promise<void> {
      // The program does not keep the process alive.
      using _ = holdProcess();
      while (said.length < count) await heard.promise;
    },
  };
}

Deno.test("the scripts hold nothing but constants, and fit a command line of Windows", () => {
  for (const args of [readArgs(), watchArgs()]) {
    const [logo, profile, prompts, how, script = ""] = args;
    assertEquals([logo, profile, prompts, how], [
      "-NoLogo",
      "-NoProfile",
      "-NonInteractive",
      "-EncodedCommand",
    ]);
    assert(args.join(" ").length < 32_767);
    const text = new TextDecoder("utf-16le").decode(Uint8Array.fromBase64(script));
    assert(/^[\x20-\x7e\n]+$/.test(text) && !/wmic|Invoke-Expression|\biex\b/i.test(text));
    for (const [open, close] of ["{}", "()", "[]"]) {
      assertEquals(text.split(open ?? "").length, text.split(close ?? "").length, `${open}${close}`);
    }
  }
});

Deno.test({
  name: "a reading is what the script prints",
  ...needs,
  async fn() {
    await using stood = await stand(`cat "${FIXTURE}"`, "exit 1");
    using reader = powershellReader(stood.tool);
    const { interfaces, defaultRoute, gatewayMac, dns, blind } = await reader.read();
    assertEquals(interfaces.map(({ name, kind, up, running, mtu }) => [name, kind, up, running, mtu]), [
      ["Loopback Pseudo-Interface 1", "loopback", true, true, null],
      ["Ethernet", "ethernet", true, false, 1500],
      ["Wi-Fi", "wifi", true, true, 1500],
    ]);
    const wifi = interfaces.at(-1)?.addresses.map((
      { address, prefix, temporary },
    ) => [address, prefix, temporary]);
    assertEquals(wifi, [
      ["192.168.1.23", 24, false],
      ["2001:db8:1::beef", 128, true],
      ["fe80::1234:5678:9abc:def0", 64, false],
    ]);
    assertEquals(interfaces[1]?.addresses[0]?.tentative, true);
    const v4 = { gateway: "192.168.1.1", interface: "Wi-Fi", index: 12, metric: 50, source: "192.168.1.23" };
    assertEquals(defaultRoute, { v4, v6: null });
    assertEquals(gatewayMac, { v4: "02:00:00:00:01:01", v6: null });
    assertEquals(dns, { servers: ["192.168.1.1", "fe80::1"], search: ["home.example"] });
    assertEquals(blind, []);
  },
});

Deno.test({
  name: "a reading that fails says how",
  ...needs,
  async fn() {
    await using failing = await stand("echo 'Get-Net: not recognized' >&2; echo more >&2; exit 3", "exit 1");
    const failed = await assertRejects(
      async () => await powershellReader(failing.tool).read(),
      HoldfastError,
      "Cannot read the network by PowerShell: it ended with code 3 (Get-Net: not recognized)",
    );
    assertEquals(failed.code, "tool-failed");
    await using silent = await stand("true", "exit 1");
    const nothing = await assertRejects(
      async () => await powershellReader(silent.tool).read(),
      HoldfastError,
      "Cannot parse the output of PowerShell: expected a JSON object, got nothing",
    );
    assertEquals(nothing.code, "protocol");
  },
});

Deno.test({
  name: "a line for a change is a hint, a sign of life is not, and closing ends the program",
  ...needs,
  async fn() {
    await using stood = await stand(
      `cat "${FIXTURE}"`,
      "printf 'ready\\r\\nsame\\r\\nnoise\\r\\nchange\\r\\n'; exec sleep 1000",
    );
    const said = ears();
    const clock = new FakeClock();
    const source = openPowershellSource(said, clock, stood.tool);
    await said.until(2);
    assertEquals((await source.read()).interfaces.length, 3);
    assertEquals([said.said, clock.pending], [["hint", "hint"], 1]);
    await source[Symbol.asyncDispose]();
    assertEquals([said.said.length, clock.pending], [2, 0]);
  },
});

Deno.test({
  name: "a watching program that ends, or falls silent, is told as the source's failure",
  ...needs,
  async fn() {
    await using ending = await stand("true", "echo 'no such event' >&2; exit 4");
    const said = ears();
    await using source = openPowershellSource(said, new FakeClock(), ending.tool);
    await said.until(1);
    assertEquals(said.said, [
      "tool-failed: Cannot watch the network by PowerShell: it ended with code 4 (no such event)",
    ]);
    assertEquals([source.backend, source.reader], ["powershell", "powershell"]);

    await using silent = await stand("true", "exec sleep 1000");
    const other = ears();
    const time = new FakeClock();
    await using stuck = openPowershellSource(other, time, silent.tool);
    time.tick(119_999);
    assertEquals(other.said, []);
    time.tick(1);
    assertEquals(other.said, [
      "timeout: Cannot watch the network by PowerShell: it said nothing for 120000 ms",
    ]);
    assertEquals(stuck.backend, "powershell");
  },
});

Deno.test("without PowerShell the error says so", () => {
  const error = assertThrows(
    () => openPowershellSource(ears(), new FakeClock(), "no-such-powershell.exe"),
    ToolMissingError,
  );
  assertEquals(error.tool, "no-such-powershell.exe");
});
