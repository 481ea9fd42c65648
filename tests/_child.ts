/** What the kernel tells of processes, and programs in a pseudo-terminal: for tests that look from outside. */

import { libcCandidates } from "../internal/ffi/libc.ts";

const ROOT = new URL("..", import.meta.url);

/** How long anything may take to show, in milliseconds. */
const PATIENCE = 15_000;

/** Where the C library lies on this machine. */
export function libcPath(): string {
  const found = libcCandidates().find((path) => ifThere(() => Deno.statSync(path)) !== null);
  if (found === undefined) throw new Error("Cannot find the C library of this machine");
  return found;
}

/** What a process has open, each as the kernel names it, without numbers of their own. */
export function descriptorsOf(pid: number | "self" = "self"): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
    const target = ifThere(() => Deno.readLinkSync(`${folder}/${name}`));
    // The one that lists this folder is closed by now.
    return target === null ? [] : [target.replace(/\[\d+\]$/, "")];
  }).sort();
}

/** How many threads a process has. */
export function threadsOf(pid: number | "self" = "self"): number {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].length;
}

/** What proc_pid_stat(5) tells of a process. */
export interface ProcessStat {
  /** Its number. */
  readonly pid: number;
  /** The name of its program. */
  readonly name: string;
  /** One letter: `R`, `S`, `Z` ... */
  readonly state: string;
  /** The number of its parent. */
  readonly parent: number;
  /** Ticks of processor time, its own and in the kernel. */
  readonly ticks: number;
}

/** Looks at a process; `null` where there is none. */
export function statOf(pid: number): ProcessStat | null {
  const text = ifThere(() => Deno.readTextFileSync(`/proc/${pid}/stat`));
  // The name stands in parentheses and may hold anything.
  const [, name = "", rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(text ?? "") ?? [];
  const fields = rest.split(" ");
  if (text === null) return null;
  const [state = "", parent = ""] = fields;
  return { pid, name, state, parent: Number(parent), ticks: Number(fields[11]) + Number(fields[12]) };
}

/** What a process was started with, its own name first; empty where there is none any more. */
export function commandOf(pid: number): readonly string[] {
  return (ifThere(() => Deno.readTextFileSync(`/proc/${pid}/cmdline`)) ?? "").split("\0").slice(0, -1);
}

/** The children of a process that are alive. */
export function childrenOf(pid: number): readonly ProcessStat[] {
  const all = [...Deno.readDirSync("/proc")].map(({ name }) =>
    /^\d+$/.test(name) ? statOf(Number(name)) : null
  );
  return all.filter((stat) => stat !== null).filter(({ parent, state }) => parent === pid && state !== "Z");
}

/** Whether a process runs, or at least could: one that has ended and waits to be collected does not. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== null && stat.state !== "Z";
}

/** Waits for what only the kernel's tables tell, by looking at them again and again. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function ifThere<T>(action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    // What it asked for has just ended; ESRCH is what files of a process that has ended give, with or without its name.
    if (error instanceof Deno.errors.NotFound || /\(os error 3\)/.test(String(error))) return null;
    throw error;
  }
}

/** What every question of the runtime has in it. */
export const QUESTION = "Allow?";

/** A piece of code that runs in a pseudo-terminal. */
export interface TerminalCode extends AsyncDisposable {
  /** Resolves with (the first group of) that text when it has appeared; rejects when the code ends without. */
  said(text: string | RegExp): Promise<string>;
  /** Answers the runtime's question, which must come. */
  answer(letter: "y" | "n"): Promise<void>;
  /** Types Ctrl-C, by which the terminal interrupts all processes in it. */
  interrupt(): Promise<void>;
  /** Resolves when it has ended, with its exit code and all that appeared on the terminal. */
  readonly result: Promise<{ readonly code: number; readonly screen: string }>;
}

/**
 * Runs a piece of TypeScript in a pseudo-terminal, where the runtime asks for permissions. `"#/` at the beginning of an
 * import stands for the repository.
 *
 * @param code The code, a module.
 * @param flags Permission flags.
 */
export async function startInTerminal(code: string, flags: readonly string[] = []): Promise<TerminalCode> {
  const file = await Deno.makeTempFile({ prefix: "holdfast-terminal-", suffix: ".ts" });
  await Deno.writeTextFile(file, code.replaceAll('"#/', `"${ROOT.href}`));
  const command = [Deno.execPath(), "run", "--quiet", "--no-config", ...flags, file].join(" ");
  const child = new Deno.Command("script", {
    args: ["--quiet", "--return", "--flush", "--echo", "never", "--command", command, "/dev/null"],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", SHELL: "/bin/sh" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), 2 * PATIENCE);
  // Open to the end: where it is closed, the terminal says end-of-file, which would answer a question.
  const keyboard = child.stdin.getWriter();
  let screen = "";
  let over = false;
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const result = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      screen += text;
      tell();
    }
    const { code } = await child.status;
    clearTimeout(limit);
    over = true;
    tell();
    await keyboard.close().catch(() => {}); // nobody reads it any more
    await Deno.remove(file);
    return { code, screen };
  })();
  const said = async (text: string | RegExp): Promise<string> => {
    while (true) {
      const match = typeof text === "string" ? screen.includes(text) && [text] : text.exec(screen);
      if (match) return match[1] ?? match[0] ?? "";
      if (over) throw new Error(`The code never said "${text}" but:\n${screen}`);
      await changed.promise;
    }
  };
  return {
    result,
    said,
    async answer(letter) {
      await said(QUESTION);
      // The runtime throws away what is typed until nothing has been typed for 100 ms, so that nobody answers what he
      // has not read.
      const keys = new TextEncoder().encode(`${letter}\n`);
      const typing = setInterval(() => void keyboard.write(keys).catch(() => {}), 300);
      await said(letter === "y" ? "Granted" : "Denied").finally(() => clearInterval(typing));
    },
    interrupt: () => keyboard.write(new Uint8Array([3])),
    async [Symbol.asyncDispose]() {
      if (!over) child.kill("SIGTERM");
      await result;
    },
  };
}
