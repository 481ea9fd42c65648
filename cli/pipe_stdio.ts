/** A pipe as standard input and output. */

import { wait } from "../internal/clock.ts";
import { formatPipeAddress } from "../pipes/address.ts";
import { lines } from "../pipes/framing.ts";
import type { Pipe, PipeEventType } from "../pipes/pipe.ts";
import { hasHalfClose, MAX_MESSAGE } from "./pipe_target.ts";
import type { Context, Line } from "./spec.ts";

/** What was received; a line of `--json`. */
export interface MessageLine extends Line {
  /** The tag. */
  readonly type: "message";
  /** Who sent it, as a URL. */
  readonly from: string;
  /** How many bytes it has. */
  readonly bytes: number;
  /** It as text, or `null` where it is no UTF-8. */
  readonly text: string | null;
  /** It in base64 where it is no text, else `null`. */
  readonly base64: string | null;
}

/** A connection is there, at first or again; a line of `--json`. */
export interface UpLine extends Line {
  /** The tag. */
  readonly type: "up";
  /** Our end, as a URL. */
  readonly local: string;
  /** The other end, as a URL. */
  readonly remote: string;
  /** How often it was connected before. */
  readonly reconnects: number;
}

/** What was counted in the end; a line of `--json`. */
export interface PipeLine extends Line {
  /** The tag. */
  readonly type: "pipe";
  /** The other end, as a URL. */
  readonly remote: string;
  /** Bytes that the system took, with those that keep messages apart. */
  readonly sent: number;
  /** Bytes received, without those. */
  readonly received: number;
  /** How often it was connected again. */
  readonly reconnects: number;
}

/** How it is done. */
export interface TalkOptions {
  /** Whether each line of standard input is a message, and each message a line of standard output. */
  readonly messages: boolean;
  /** How long to go on receiving after the end of standard input, in milliseconds. */
  readonly linger?: number;
}

/** How long an answer may take where the other end cannot be told that we have said all, in milliseconds. */
const LAST_ANSWERS = 1000;

/** The network's events that are told. */
const EVENTS: readonly PipeEventType[] = [
  "offline",
  "online",
  "gatewaychange",
  "defaultinterfacechange",
  "addresschange",
  "wake",
];

/**
 * Sends standard input and writes what is received, until both directions have ended; with a person at standard input until
 * the other end has.
 *
 * @param pipe The pipe; it is over afterwards.
 * @param context Where to read and write.
 * @param options What a message is, and when it ends.
 * @throws What ended the pipe, when that was no good end.
 */
export async function talk(pipe: Pipe, context: Context, options: TalkOptions): Promise<void> {
  const { stdin, signal, json, emit } = context;
  using told = tell(pipe, context);
  const input = stdin.readable.getReader();
  const stop = (): void => pipe.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const over = new AbortController();
  try {
    const enough = (): void => {
      over.abort();
      void input.cancel();
    };
    const receiving = receive(pipe, context, options.messages).then(() => {
      // Whoever types would not see that nobody listens; and where both directions end at once nobody does.
      if (stdin.isTerminal() || !hasHalfClose(pipe)) enough();
      else over.abort();
    }, (error) => {
      enough();
      // That we have closed it is no failure.
      if (pipe.state.type !== "closed") throw error;
    });
    const sending = send(pipe, input, over.signal, options);
    const [down, up] = await Promise.allSettled([receiving, sending]);
    if (down.status === "rejected") throw down.reason;
    if (up.status === "rejected") throw up.reason;
    await pipe.close();
    const { bytesSent: sent, bytesReceived: received, reconnects } = pipe.stats;
    const remote = formatPipeAddress(pipe.remoteAddress);
    if (json) await emit<PipeLine>({ type: "pipe", remote, sent, received, reconnects });
  } finally {
    signal.removeEventListener("abort", stop);
    await input.cancel();
    pipe.abort();
    told[Symbol.dispose]();
  }
}

async function receive(pipe: Pipe, context: Context, messages: boolean): Promise<void> {
  const { json, emit, write } = context;
  for await (const { data, from } of pipe.subscribe()) {
    if (json) await emit(messageLine(data, formatPipeAddress(from)));
    else await write(messages ? asLine(data) : data);
  }
}

/** Sends until the end of standard input, and then tells the other end as far as that can be told. */
async function send(
  pipe: Pipe,
  input: ReadableStreamDefaultReader<Uint8Array>,
  over: AbortSignal,
  { messages, linger }: TalkOptions,
): Promise<void> {
  const decoder = messages ? lines({ max: MAX_MESSAGE }).decoder() : undefined;
  while (true) {
    const { done, value } = await input.read();
    if (done) break;
    const parts = decoder ? decoder.push(new Uint8Array(value)) : [value];
    for (const part of parts) await pipe.send(decoder ? asTyped(part) : part);
  }
  if (pipe.state.type === "closed" || (over.aborted && !hasHalfClose(pipe))) return;
  for (const part of decoder?.end() ?? []) await pipe.send(asTyped(part));
  if (hasHalfClose(pipe)) await pipe.closeWrite();
  else await pipe.flush();
  const patience = linger ?? (hasHalfClose(pipe) ? undefined : LAST_ANSWERS);
  if (patience === undefined) return;
  const inTime = await wait(patience, { signal: over }).then(() => false, () => true);
  if (!inTime) await pipe.close();
}

function asLine(data: Uint8Array): Uint8Array {
  const line = new Uint8Array(data.length + 1);
  line.set(data);
  line[data.length] = 10;
  return line;
}

/** What was typed is text where it can be: a WebSocket tells both apart. */
function asTyped(bytes: Uint8Array): Uint8Array | string {
  return textOf(bytes) ?? bytes;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // It is none.
    return null;
  }
}

function messageLine(data: Uint8Array<ArrayBuffer>, from: string): MessageLine {
  const text = textOf(data);
  const base64 = text === null ? data.toBase64() : null;
  return { type: "message", from, bytes: data.length, text, base64 };
}

/** Tells what happens on the way: to programs as lines, to people as remarks. */
function tell(pipe: Pipe, { json, emit, note }: Context): Disposable {
  const stack = new DisposableStack();
  // Whoever closed standard output finds that out by the next message.
  const line = <L extends Line>(line: L): void => void (json ? emit(line).catch(() => {}) : undefined);
  const remark = (text: string): void => void (json ? undefined : note(text).catch(() => {}));
  stack.use(pipe.on("up", ({ localAddress, remoteAddress, reconnects }) => {
    const [local, remote] = [localAddress, remoteAddress].map(formatPipeAddress) as [string, string];
    line<UpLine>({ type: "up", local, remote, reconnects });
    remark(`${reconnects === 0 ? "Connected" : "Connected again"}: ${remote}`);
  }));
  stack.use(pipe.on("addresslost", (event) => {
    line(event);
    remark(`The address ${event.address} is gone`);
  }));
  for (const type of EVENTS) {
    stack.use(pipe.on(type, (event) => {
      line(event as Line);
      remark(`The network: ${type}`);
    }));
  }
  return stack;
}
