/**
 * Run on a host of the laboratory: a UDP socket of the runtime's own, which needs `--unstable-net`. It reads lines, each a
 * {@linkcode UdpCommand}, and answers each with a line, a {@linkcode UdpState}.
 */

import { watchNetwork } from "@holdfast/net/watch";
import { classify } from "../../recover/classify.ts";
import { compose } from "../../recover/policy.ts";
import { retry } from "../../recover/retry.ts";
import { timeout } from "../../recover/timeout.ts";

/** Where a datagram goes. */
interface Target {
  readonly to: string;
  readonly port: number;
  /** Its length in bytes. */
  readonly length: number;
}

/**
 * What it is told: to open a socket, which echoes or not; to send once, in plain code; to begin to send, or to ask and wait
 * for an answer, under policies, until something comes in between; to wait for the end of that.
 */
export type UdpCommand =
  | { readonly do: "open"; readonly port: number; readonly echo: boolean }
  | { readonly do: "state" | "end" }
  | { readonly do: "send" | "begin-send" | "begin-ask" } & Target;

/** What has happened. */
export interface UdpState {
  /** The port of its socket. */
  readonly port: number;
  /** The lengths of what it has received, in order. */
  readonly lengths: readonly number[];
  /** What receiving failed with, if it did. */
  readonly broken: string | null;
  /** What the last command failed with, if it did: the error's name and code, and what `classify()` makes of it. */
  readonly failure: readonly [name: string, code: string | null, known: string] | null;
  /** Whether it sees a network. */
  readonly online: boolean;
  /** How many attempts the policy has made, and what it told in between. */
  readonly attempts: number;
  readonly told: readonly string[];
}

const lengths: number[] = [];
const told: string[] = [];
let socket: Deno.DatagramConn | undefined;
let broken: string | null = null;
let failure: UdpState["failure"] = null;
let attempts = 0;
let running: Promise<void> = Promise.resolve();
let heard = Promise.withResolvers<void>();

const network = await watchNetwork();

function open(port: number, echo: boolean): void {
  const own = socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port });
  (async () => {
    for await (const [bytes, from] of own) {
      lengths.push(bytes.length);
      heard.resolve();
      heard = Promise.withResolvers();
      if (echo) await own.send(bytes, from);
    }
  })().catch((error) => broken = String(error));
}

async function send({ to, port, length }: Target): Promise<void> {
  await socket?.send(new Uint8Array(length), { transport: "udp", hostname: to, port });
}

/** Runs something, and takes down how it fails. */
async function tried(work: () => Promise<void>): Promise<void> {
  failure = null;
  await work().catch((error) => {
    const { scenario, kind, retry, sent } = classify(error, { operation: "send", network: network.state });
    failure = [error.name, error.code ?? null, `${scenario} ${kind} ${retry} ${sent}`];
  });
}

/** Begins something, and returns when it waits for something to change. */
async function begin(command: Target, ask: boolean): Promise<void> {
  const waits = Promise.withResolvers<void>();
  const policy = retry({
    network,
    operation: ask ? "receive" : "send",
    idempotent: ask,
    safetyPoll: 120_000,
  });
  policy.on("failure", ({ failure: { scenario, retry } }) => {
    told.push(`${scenario} ${retry}`);
    if (ask) waits.resolve();
  });
  policy.on("suspended", ({ reason }) => {
    told.push(reason);
    waits.resolve();
  });
  attempts = 0;
  running = tried(() =>
    compose(policy, timeout(500)).execute(async () => {
      attempts++;
      const answer = heard.promise;
      await send(command);
      if (ask) await answer;
    })
  ).finally(waits.resolve);
  await waits.promise;
}

async function obey(command: UdpCommand): Promise<void> {
  if (command.do === "open") open(command.port, command.echo);
  if (command.do === "send") await tried(() => send(command));
  if (command.do === "begin-send") await begin(command, false);
  if (command.do === "begin-ask") await begin(command, true);
  if (command.do === "end") await running;
}

function state(): UdpState {
  const port = socket?.addr.transport === "udp" ? socket.addr.port : 0;
  return { port, lengths, broken, failure, online: network.state.online, attempts, told };
}

if (import.meta.main) {
  console.log("{}");
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      await obey(JSON.parse(line));
      console.log(JSON.stringify(state()));
    }
  }
}
