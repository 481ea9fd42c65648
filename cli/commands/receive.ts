/** `holdfast receive PATH --exec PROGRAM [ARG...]` and `holdfast receive PATH --fdpass`. */

import { sendMessage } from "../../internal/ffi/socket_messages.ts";
import { formatPipeAddress } from "../../pipes/address.ts";
import { closeDescriptor } from "../../pipes/push/_adopt.ts";
import { needCalls } from "../../pipes/push/_descriptor_calls.ts";
import { prepare } from "../../pipes/push/_prepare.ts";
import type { BareSocket } from "../../pipes/push/_pushable.ts";
import { startWithSockets } from "../../pipes/push/inherit.ts";
import { PushError } from "../../pipes/push/push_error.ts";
import { type PushReceiver, receive, type ReceivedStream } from "../../pipes/push/receive.ts";
import { EXIT } from "../failure.ts";
import type { Context, Line } from "../spec.ts";
import { UsageError } from "../usage_error.ts";
import type { ListeningLine } from "./pipe.ts";

/** A program was started for a connection; a line of `--json`. */
export interface StartedLine extends Line {
  /** The tag. */
  readonly type: "started";
  /** The client. */
  readonly remote: string;
  /** The program's process. */
  readonly pid: number;
  /** What whoever pushed the connection said besides. */
  readonly metadata: unknown;
}

/** A program has ended; a line of `--json`. */
export interface EndedLine extends Line {
  /** The tag. */
  readonly type: "ended";
  /** Its process. */
  readonly pid: number;
  /** Its exit code, `null` where a signal has ended it. */
  readonly code: number | null;
  /** The signal, or `null`. */
  readonly signal: string | null;
}

const STDOUT = 1;

/** Takes connections until the signal, or just one. */
export async function run(context: Context): Promise<number> {
  const { args: [path = "", ...args], values, signal, json } = context;
  const program = values.text("exec");
  const passes = values.flag("fdpass");
  if ((program === undefined) === !passes) {
    throw wrong('one of "--exec" and "--fdpass" is needed', "Add --exec PROGRAM, or --fdpass");
  }
  if (passes && json) throw wrong('"--fdpass" has standard output for itself', 'Leave out "--json"');
  const most = values.number("most") ?? 64;
  await using receiver = await receive(path, { kinds: ["stream"], signal, window: most });
  if (program === undefined) return await pass(receiver, context);
  if (json) await context.emit<ListeningLine>({ type: "listening", urls: [`unix:${path}`] });
  else await context.note(`Taking connections from ${path}`);
  const running = new Set<Promise<void>>();
  for await (const received of receiver) {
    if (received.kind !== "stream") continue;
    const task = serve(received, program, args, context).finally(() => running.delete(task));
    running.add(task);
    if (running.size >= most) await Promise.race(running);
  }
  await Promise.all(running);
  return EXIT.fine;
}

/** Runs a program for a connection; what goes wrong is told, and ends nothing else. */
async function serve(
  { pipe, metadata }: ReceivedStream,
  program: string,
  args: readonly string[],
  { json, emit, complain, signal }: Context,
): Promise<void> {
  const remote = formatPipeAddress(pipe.remoteAddress);
  let connection: BareSocket | undefined;
  try {
    const left = await pipe.detach();
    connection = left.connection as BareSocket;
    if (left.unread.length > 0) throw readBefore(left.unread.length);
    await using child = await startWithSockets(program, { args, sockets: [connection], toldBy: "inetd" });
    connection = undefined;
    if (json) await emit<StartedLine>({ type: "started", remote, pid: child.pid, metadata });
    const stop = (): void => child.kill("SIGTERM");
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    const { code, signal: by } = await child.ended.finally(() => signal.removeEventListener("abort", stop));
    if (json) await emit<EndedLine>({ type: "ended", pid: child.pid, code, signal: by });
  } catch (error) {
    close(connection);
    await complain(`${remote}: ${error instanceof Error ? error.message : error}`).catch(() => {});
  }
}

/** Hands one connection to whoever has the other end of standard output, as ssh_config(5) has it for ProxyUseFdpass. */
async function pass(receiver: PushReceiver, { complain }: Context): Promise<number> {
  for await (const received of receiver) {
    if (received.kind !== "stream") continue;
    using calls = needCalls("pass a connection on");
    const prepared = await prepare(received.pipe, { keep: false });
    try {
      if (prepared.prefix.length > 0) throw readBefore(prepared.prefix.length);
      const sent = sendMessage(calls, STDOUT, new Uint8Array(1), [prepared.descriptor]);
      if (sent === 1) {
        prepared.letGo();
        return EXIT.fine;
      }
      close(prepared.giveBack()?.connection as BareSocket | undefined);
      await complain(
        `Cannot pass a connection on: standard output is no Unix socket (error ${-sent} of the system)`,
      );
      return EXIT.failed;
    } finally {
      await closeDescriptor(calls, prepared.descriptor);
    }
  }
  return EXIT.fine;
}

function close(connection: BareSocket | undefined): void {
  if (connection === undefined) return;
  if ("destroy" in connection) connection.destroy();
  else connection.close();
}

function readBefore(count: number): PushError {
  return new PushError(`Cannot pass a connection on: ${count} bytes were read from it before`, {
    code: "kind",
    operation: "pass a connection on",
    hint: "Push it before anything is read, for a program finds nothing but what is still in it",
  });
}

function wrong(why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast receive": ${why}`, hint);
}
