/** A tunnel between two hosts, as processes of the command line, and programs that know nothing of it. */

import { formatKey, makeSharedKey } from "../../pipes/resume/key_text.ts";
import { ADDRESS, type Host, TwoHosts } from "./_two_hosts.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Where the server's end listens. */
export const SERVER: string = `${ADDRESS.server.v4}:7000`;

/** A process, whose lines can be waited for. */
export class Running implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #reading: Promise<void>;
  #text = "";
  #wake: PromiseWithResolvers<void> = Promise.withResolvers();
  #ended = false;

  /** Starts a program on a host. */
  constructor(host: Host, program: string, args: readonly string[]) {
    const [command = "", ...rest] = host === "client"
      ? [program, ...args]
      : ["ip", "netns", "exec", host, program, ...args];
    this.#child = new Deno.Command(command, {
      args: rest,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      env: { NO_COLOR: "1" },
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** All that it has written. */
  get text(): string {
    return this.#text;
  }

  /** Writes to its standard input. */
  async say(text: string): Promise<void> {
    await this.#writer?.write(new TextEncoder().encode(text));
  }

  /** Resolves when a part of what it has written is there. */
  async has(pattern: string | RegExp): Promise<void> {
    while (!(typeof pattern === "string" ? this.#text.includes(pattern) : pattern.test(this.#text))) {
      if (this.#ended) {
        throw new Error(`Cannot go on: the program has ended after ${JSON.stringify(this.#text)}`);
      }
      await this.#wake.promise;
    }
  }

  /** Ends its input, and gives its exit code. */
  async end(): Promise<number> {
    await this.#writer?.close();
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
    await this.#writer?.abort().catch(() => {}); // closed already
  }

  async #read(): Promise<void> {
    for await (const part of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.#text += part;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    }
    this.#ended = true;
    this.#wake.resolve();
  }
}

/** The laboratory. */
export interface TunnelLab extends AsyncDisposable {
  readonly lab: TwoHosts;
  /** A folder that all hosts see. */
  readonly folder: string;
  /** Starts a program; it ends with the laboratory. */
  start(host: Host, program: string, ...args: readonly string[]): Running;
  /** Starts `holdfast tunnel`. */
  tunnel(host: Host, ...args: readonly string[]): Running;
  /** How `holdfast` is called, and `holdfast tunnel`. */
  readonly program: readonly string[];
  readonly command: readonly string[];
  /** The command that ssh starts in place of a connection. */
  proxyCommand(...args: readonly string[]): string;
  /** The client's link is gone, and its address with it. */
  down(): Promise<void>;
  /** It is back, in another network address. */
  up(address?: string): Promise<void>;
}

/** Makes it. */
export async function tunnelLab(): Promise<TunnelLab> {
  const stack = new AsyncDisposableStack();
  try {
    const folder = await Deno.makeTempDir({ prefix: "holdfast-tunnel-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    await Deno.writeTextFile(`${folder}/tunnel.key`, formatKey(makeSharedKey()), { mode: 0o600 });
    const lab = stack.use(await TwoHosts.make());
    await lab.ip("client", "link set lo up");
    const program = [Deno.execPath(), "run", "-A", "--quiet", "--no-check", `${ROOT}cli/main.ts`];
    const entry = [...program, "tunnel"];
    const key = ["--key-file", `${folder}/tunnel.key`];
    const start: TunnelLab["start"] = (host, program, ...args) => stack.use(new Running(host, program, args));
    let address: string = ADDRESS.client.v4;
    return {
      ...{ lab, folder, start, program, command: entry },
      tunnel: (host, ...args) => {
        const [program = "", ...rest] = entry;
        return start(host, program, ...rest, ...args, ...key, "--json");
      },
      proxyCommand: (...args) => [...entry, ...args, ...key].join(" "),
      async down() {
        await lab.ip("client", `address delete ${address}/24 dev vc`, "link set vc down");
      },
      async up(next = "10.9.1.3") {
        address = next;
        await lab.ip("client", `address add ${next}/24 dev vc`, "link set vc up");
        await lab.ip("client", `route replace default via ${ADDRESS.near.v4}`);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
