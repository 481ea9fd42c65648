/** The examples of sessions, run as a reader would run them, and cut. */

import { assert, assertEquals } from "@std/assert";
import { fileSystemPath, ROOT } from "../dev/_files.ts";
import { lines } from "../pipes/framing.ts";
import { connect } from "../pipes/ws.ts";
import { startChaosLink } from "../testing/chaos_link.ts";
import { requires } from "./_require.ts";

const linux = requires({ os: ["linux"] });

/** How long an example may run, in milliseconds. */
const PATIENCE = 20_000;

/** An example that can be typed to, and whose errors are seen. */
class Example implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #limit: ReturnType<typeof setTimeout>;
  #text = "";

  constructor(name: string, ...args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-net", "--allow-ffi", `examples/${name}`, ...args],
      cwd: fileSystemPath(ROOT),
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(this.#child.stderr).text();
    this.#input = this.#child.stdin.getWriter();
    this.#limit = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
  }

  /** Waits until it has written something that was not asked for yet. */
  async said(wanted: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = wanted.exec(this.#text);
      if (match) {
        this.#text = this.#text.slice(match.index + match[0].length);
        return match;
      }
      const { done, value } = await this.#output.read();
      if (done) throw new Error(`The example never wrote ${wanted} but ${this.#text}${await this.#errors}`);
      this.#text += value;
    }
  }

  async type(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Waits for its end; gives the code and what it had to complain about. */
  async ended(signal?: Deno.Signal): Promise<readonly [number, string]> {
    if (signal) this.#child.kill(signal);
    const { code } = await this.#child.status;
    return [code, (await this.#errors).replace(/^(Check|Download|Warning).*\n/gm, "")];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#limit);
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended, as it should have.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#errors;
    await this.#output.cancel();
    await this.#input.abort().catch(() => {});
  }
}

/** A link to a server of sessions, which can be cut. */
async function linkTo(url: string) {
  const { host, protocol } = new URL(url);
  const target = host === "" ? url.replace(/^.*\/\//, "") : host;
  const link = await startChaosLink({ target });
  return { link, url: `${protocol}//${link.address}` };
}

Deno.test({
  name: "the chat goes on over cuts: each line comes once, and in order",
  ...linux,
  async fn() {
    await using server = new Example("session_chat.ts");
    const [, url = ""] = await server.said(/Join with: \S+ (resume\+tcp:\S+) NAME\n/);
    const way = await linkTo(url);
    await using link = way.link;
    await using ann = new Example("session_chat.ts", way.url, "Ann");
    await using bob = new Example("session_chat.ts", url, "Bob");
    await Promise.all([ann.said(/Ann is there; talk\n/), bob.said(/Bob is there; talk\n/)]);
    // Nothing else in between but what is told of the connection: no line of the other one twice.
    const next = (name: string, n: number): RegExp => new RegExp(`^(?:\\(.*\n)*${name}: hello ${n}\n`);
    for (let n = 0; n < 6; n++) {
      link.cut(n % 2 === 0 ? "reset" : "end");
      await bob.type(`hello ${n}`);
      await ann.type(`hello ${n}`);
      await Promise.all([ann.said(next("Bob", n)), bob.said(next("Ann", n))]);
    }
    for (const example of [ann, bob, server]) assertEquals(await example.ended("SIGINT"), [130, ""]);
  },
});

Deno.test({
  name: "the game keeps a player whose connection is cut, and he misses no step",
  ...linux,
  async fn() {
    await using server = new Example("session_game_server.ts");
    const [, url = ""] = await server.said(/The game is at (resume\+tcp:\S+)\n/);
    const way = await linkTo(url);
    await using link = way.link;
    await using ann = new Example("session_game_client.ts", way.url, "Ann", "12");
    await using bob = new Example("session_game_client.ts", url, "Bob", "1000");
    await bob.said(/Step 1: at 1, 0\n/);
    await ann.said(/Step 3: /);
    link.cut("reset");
    await server.said(/Ann is away, and keeps the place\n/);
    await server.said(/Ann is back\n/);
    const [text, back] = await ann.said(/^(?:(?!Missed)[^])*Done: 12 steps, (\d) times back\n/);
    assert(Number(back) >= 1, text);
    assertEquals(await ann.ended(), [0, ""]);
    await server.said(/Ann has left\n/);
    for (const example of [bob, server]) assertEquals(await example.ended("SIGINT"), [130, ""]);
  },
});

Deno.test({
  name: "the mount serves its page and sessions, which outlive their connections",
  ...linux,
  async fn() {
    await using server = new Example("session_mount.ts", "0");
    const [, page = "", url = ""] = await server.said(/A page at (\S+), sessions at (resume\+ws:\S+)\n/);
    const link = await startChaosLink({ target: new URL(page).host });
    await using _link = link;
    const client = await connect(`resume+ws://${link.address}/live`, { framing: lines() });
    const next = async (): Promise<number> => {
      const text = new TextDecoder().decode(await client.recv() ?? undefined);
      return Number(/^second (\d+)$/.exec(text)?.[1]);
    };
    const first = await next();
    link.cut("reset");
    assertEquals(await next(), first + 1);
    assertEquals([client.resumable, client.stats.resumes], [true, 1]);
    assertEquals(await (await fetch(page)).text(), "1 clients\n");
    assert(url.endsWith("/live"));
    assertEquals(await server.ended("SIGINT"), [130, ""]);
    client.abort();
  },
});
