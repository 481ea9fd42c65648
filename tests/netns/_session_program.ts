/**
 * Run on a host of the laboratory: a server of sessions, or a client of one. Its argument is a JSON object, {@linkcode SessionProgram}; it
 * writes a line when it is ready, and one for each {@linkcode SessionCommand} that it reads.
 *
 * A session whose client says "pour" first is filled with blocks, and what comes is hashed; of any other what comes is
 * sent back.
 */

import { connect } from "../../pipes/connect.ts";
import type { ListenOptions } from "../../pipes/listen.ts";
import { serveSessions } from "../../pipes/resume/serve_sessions.ts";
import type { SessionPipe } from "../../pipes/resume/session.ts";
import { drain, type Flows, pour } from "./_session_streams.ts";

/** What it is to be. */
export interface SessionProgram {
  /** Where a server of sessions listens. */
  readonly serve?: string;
  /** Where the clients connect to. */
  readonly connect?: string;
  /** How many clients there are. */
  readonly clients?: number;
  /** The terms of the sessions. */
  readonly session?: { readonly window?: number; readonly expiry?: number; readonly keepalive?: number };
  /** The key of sealed sessions, in hexadecimal digits. */
  readonly key?: string;
}

/** What it can be asked: how the sessions do, to end what it pours, to do nothing else for a while. */
export type SessionCommand =
  | { readonly do: "state" }
  | { readonly do: "stop" }
  | { readonly do: "stall"; readonly for: number };

/** How one session does. */
export interface SessionFacts {
  readonly id: string;
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly resumes: number;
  readonly migrations: number;
  /** Of each carrier that was lost: its number, and how much was on its way. */
  readonly losses: readonly (readonly [epoch: number, pending: number, kind: string])[];
}

/** What it answers. */
export interface SessionAnswer {
  readonly sessions: readonly SessionFacts[];
  /** What was poured in both directions, once it was stopped. */
  readonly flows: Readonly<Record<string, Flows>>;
}

/** Looks after the sessions of this process. */
class Sessions {
  readonly #all: { readonly pipe: SessionPipe; readonly losses: [number, number, string][] }[] = [];
  readonly #flows: Promise<readonly [string, Flows]>[] = [];
  readonly #stop = new AbortController();

  add(pipe: SessionPipe, pours: boolean, salt: number): void {
    const { session } = pipe;
    const losses: [number, number, string][] = [];
    this.#all.push({ pipe, losses });
    pipe.on("suspended", ({ failure }) => {
      losses.push([session.epoch, session.sent - session.acknowledged, failure.kind]);
    });
    if (!pours) return void pipe.on("message", ({ data }) => pipe.send(data));
    const both = Promise.all([
      pour(pipe, salt, () => !this.#stop.signal.aborted),
      drain(pipe),
    ]);
    const flows = both.then(([sent, received]) => [session.id, { sent, received }] as const);
    flows.catch(() => {}); // told when it is asked to stop
    this.#flows.push(flows);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#flows);
  }

  async answer(): Promise<SessionAnswer> {
    const flows = this.#stop.signal.aborted ? Object.fromEntries(await Promise.all(this.#flows)) : {};
    const sessions = this.#all.map(({ pipe: { session }, losses }) => {
      const { id, sent, acknowledged, received, resumes, migrations } = session;
      return { id, sent, acknowledged, received, resumes, migrations, losses };
    });
    return { sessions, flows };
  }
}

async function main({ serve, connect: url, clients = 1, session, key }: SessionProgram): Promise<void> {
  const all = new Sessions();
  const shared = key === undefined ? {} : { seal: { key: Uint8Array.fromHex(key) } };
  if (serve !== undefined) {
    const options: ListenOptions = { session: { ...session, ...shared } };
    const server = await serveSessions(serve, options);
    (async () => {
      let salt = 1000;
      for await (const pipe of server) {
        const greeting = new TextDecoder().decode(pipe.session.greeting);
        all.add(pipe, greeting === "pour", salt++);
      }
    })();
    console.log(JSON.stringify({ url: server.url }));
  } else {
    for (let n = 0; n < clients; n++) {
      const options = { session: { ...session, ...shared, greeting: "pour" } };
      all.add(await connect(url as `resume+tcp://${string}`, options), true, n);
    }
    console.log(JSON.stringify({}));
  }
  for await (const line of linesOf(Deno.stdin.readable)) {
    const command: SessionCommand = JSON.parse(line);
    // Nothing else happens in this thread meanwhile: neither timers nor sockets.
    if (command.do === "stall") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, command.for);
    if (command.do === "stop") await all.stop();
    console.log(JSON.stringify(await all.answer()));
  }
}

async function* linesOf(readable: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

if (import.meta.main) await main(JSON.parse(Deno.args[0] ?? "{}"));
