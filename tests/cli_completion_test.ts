import { assertEquals } from "@std/assert";
import { commandTable } from "../cli/command_table.ts";
import { completionScript } from "../cli/completion.ts";
import { runMain } from "./_cli.ts";
import { requires } from "./_require.ts";

const NAMES = commandTable.map(({ name }) => name);

async function output(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
  return new TextDecoder().decode(stdout).trim();
}

/** Sources a script in a shell and runs something behind it. */
async function inShell(
  shell: string,
  flags: readonly string[],
  script: string,
  then: string,
): Promise<string[]> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, script);
    const text = await output(shell, [...flags, "-c", `${then.replaceAll("SCRIPT", file)}`]);
    return text === "" ? [] : text.split("\n");
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("holdfast completion prints a script for each shell", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await runMain(["completion", shell]);
    assertEquals([code, stdout], [0, `${completionScript(commandTable, shell)}\n`]);
  }
});

Deno.test({
  name: "bash completes commands, options and values",
  ...requires({ tools: ["bash"] }),
  async fn() {
    const ask = (...words: string[]): Promise<string[]> => {
      const line = ["holdfast", ...words].map((word) => `'${word}'`).join(" ");
      const setUp = `COMP_WORDS=(${line}); COMP_CWORD=${words.length}`;
      // The function that bash itself would call for the word "holdfast".
      const call = `"$(complete -p holdfast | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"`;
      const then = `source SCRIPT; ${setUp}; ${call}; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return inShell("bash", ["--norc"], completionScript(commandTable, "bash"), then);
    };
    assertEquals(await ask(""), [...NAMES, "--help", "--version"]);
    assertEquals(await ask("st"), ["status"]);
    assertEquals(await ask("wa"), ["watch", "wait"]);
    assertEquals(await ask("watch", "--se"), ["--settled"]);
    assertEquals(await ask("watch", "--backend", "po"), ["powershell", "poll"]);
    assertEquals(await ask("watch", "--backend", "=", "net"), ["netlink"]);
    assertEquals(await ask("watch", "--backend", "="), [
      "auto",
      "netlink",
      "routing-socket",
      "iphlpapi",
      "ip-monitor",
      "route-monitor",
      "powershell",
      "poll",
    ]);
    assertEquals(await ask("wait", "--timeout", ""), []);
    assertEquals(await ask("completion", "z"), ["zsh"]);
    assertEquals(await ask("help", "doc"), ["doctor"]);
  },
});

Deno.test({
  name: "zsh completes commands, options and values",
  ...requires({ tools: ["zsh"] }),
  async fn() {
    // The functions of zsh's own that the script calls, replaced by ones that print what they are given.
    const stubs = `
      compdef() { : }
      compset() { PREFIX="\${PREFIX#*=}" }
      compadd() { shift; local w; for w in "$@"; do [[ $w == "$PREFIX"* ]] && print -r -- $w; done; true }
      _describe() { local w; for w in \${(P)2}; do [[ $w == "$PREFIX"* ]] && print -r -- \${w%%:*}; done; true }
    `;
    const ask = (...words: string[]): Promise<string[]> => {
      const line = ["holdfast", ...words].map((word) => `'${word}'`).join(" ");
      const prefix = `'${words.at(-1) ?? ""}'`;
      const then = `${stubs}; source SCRIPT; words=(${line}); CURRENT=${
        words.length + 1
      }; PREFIX=${prefix}; _holdfast`;
      return inShell("zsh", ["-f"], completionScript(commandTable, "zsh"), then);
    };
    assertEquals(await ask(""), [...NAMES, "--help", "--version"]);
    assertEquals(await ask("st"), ["status"]);
    assertEquals(await ask("watch", "--se"), ["--settled"]);
    assertEquals(await ask("watch", "--backend", "po"), ["powershell", "poll"]);
    assertEquals(await ask("watch", "--backend=net"), ["netlink"]);
    assertEquals(await ask("wait", "--timeout", ""), []);
    assertEquals(await ask("completion", "z"), ["zsh"]);
  },
});

Deno.test({
  name: "fish completes commands, options and values",
  ...requires({ tools: ["fish"] }),
  async fn() {
    const ask = async (line: string): Promise<string[]> => {
      const script = completionScript(commandTable, "fish");
      const lines = await inShell("fish", ["--no-config"], script, `source SCRIPT; complete -C "${line}"`);
      return lines.map((found) => found.split("\t")[0] ?? "").sort();
    };
    assertEquals(await ask("holdfast "), [...NAMES].sort());
    assertEquals(await ask("holdfast st"), ["status"]);
    assertEquals(await ask("holdfast watch --se"), ["--settled"]);
    assertEquals(await ask("holdfast watch --backend po"), ["poll", "powershell"]);
    assertEquals(await ask("holdfast watch --backend=net"), ["--backend=netlink"]);
    assertEquals(await ask("holdfast wait --timeout "), []);
    assertEquals(await ask("holdfast completion z"), ["zsh"]);
  },
});
