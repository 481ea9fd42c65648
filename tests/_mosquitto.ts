/** Mosquitto, as a process of its own that a test may kill, stop and start again. */

/** How a {@linkcode Mosquitto} is set up. */
export interface MosquittoOptions {
  /** Lines of its configuration after `listener PORT 127.0.0.1`; `{dir}` stands for its folder. */
  readonly config?: readonly string[];
  /** Files in its folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** Whether who has no login may come in. */
  readonly anonymous?: boolean;
}

/** A broker on a port of 127.0.0.1 that stays the same over its restarts. It keeps nothing. */
export class Mosquitto implements AsyncDisposable {
  /** Its port. */
  readonly port: number;
  readonly #folder: string;
  #process: Deno.ChildProcess | undefined;
  #output: Promise<void> | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  /** Starts one. */
  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const { config = [], files = {}, anonymous = true } = options;
    const folder = await Deno.makeTempDir({ prefix: "holdfast-mosquitto-" });
    const port = freePort();
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    const lines = [
      "per_listener_settings false",
      // Otherwise it becomes a user who may not read the folder.
      ...(Deno.uid() === 0 ? ["user root"] : []),
      // It does not start with listeners for WebSocket alone.
      ...(config.includes("protocol websockets") ? [`listener ${freePort()} 127.0.0.1`] : []),
      `listener ${port} 127.0.0.1`,
      ...config.map((line) => line.replaceAll("{dir}", folder)),
      `allow_anonymous ${anonymous}`,
      "persistence false",
    ];
    await Deno.writeTextFile(`${folder}/mosquitto.conf`, lines.join("\n"));
    const broker = new Mosquitto(port, folder);
    await broker.start();
    return broker;
  }

  /** Where it is, without TLS. */
  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** Its process id. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it again, empty; resolves when it listens. */
  async start(): Promise<void> {
    const process = new Deno.Command("mosquitto", {
      args: ["-v", "-c", `${this.#folder}/mosquitto.conf`],
      env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin` },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#process = process;
    const running = Promise.withResolvers<void>();
    const read = async (): Promise<void> => {
      let said = "";
      for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
        // It goes on talking, and has to be listened to.
        if (said.length < 10_000) said += text;
        if (/mosquitto version \S+ running/.test(said)) running.resolve();
      }
      running.reject(new Error(`Cannot start mosquitto: ${said}`));
    };
    this.#output = read();
    await running.promise;
  }

  /** Kills it without a word. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const process = this.#process;
    if (!process) return;
    this.#process = undefined;
    process.kill(signal);
    await process.status;
    await this.#output;
  }

  /** Stops it: its sockets stay open, and nothing moves any more. */
  stop(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** Lets it go on. */
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Kills it, and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
