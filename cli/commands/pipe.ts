/** `holdfast pipe [--listen] URL [URL]`. */

import type { NetworkView } from "../../internal/network_view.ts";
import { PermissionError } from "../../internal/errors.ts";
import { connect, type ConnectOptions } from "../../pipes/connect.ts";
import { formatPipeAddress, type PipeUrl } from "../../pipes/address.ts";
import { listen } from "../../pipes/listen.ts";
import type { Pipe } from "../../pipes/pipe.ts";
import type { PipeServer } from "../../pipes/server.ts";
import { watchNetwork } from "../../watch/mod.ts";
import { EXIT } from "../failure.ts";
import { notRelayed, relayed } from "../pipe_relay.ts";
import { talk } from "../pipe_stdio.ts";
import { areMessages, connectOptions, listenOptions, pipeTarget } from "../pipe_target.ts";
import type { Context, Line } from "../spec.ts";
import { UsageError } from "../usage_error.ts";
import { given } from "../values.ts";

/** Where it listens; a line of `--json`. */
export interface ListeningLine extends Line {
  /** The tag. */
  readonly type: "listening";
  /** The addresses, as URLs. */
  readonly urls: readonly string[];
}

/** One URL is piped to standard input and output, two to each other. */
export async function run(context: Context): Promise<number> {
  const { args: [first = "", second], values, signal } = context;
  const listens = values.flag("listen");
  const a = pipeTarget(first, listens ? "listen" : "connect");
  const b = second === undefined ? undefined : pipeTarget(second, "connect");
  checkOptions(context, listens, b !== undefined);
  await using stack = new AsyncDisposableStack();
  const network = listens && !b ? undefined : await openNetwork([a, b], context);
  if (network) stack.use(network);
  const open = async (url: PipeUrl): Promise<Pipe> => {
    const options: ConnectOptions = await connectOptions(values, url, signal);
    return await connect(urlOf(url), { ...options, ...given({ network }) });
  };
  const linger = values.number("linger");
  if (!listens && !b) {
    await talk(await open(a), context, { messages: areMessages(values, a), ...given({ linger }) });
    return EXIT.fine;
  }
  if (!listens && b) {
    const [one, other] = await both(open(a), open(b));
    return await relayed(one, other, context) ? EXIT.fine : EXIT.failed;
  }
  const server: PipeServer = stack.use(await listen(urlOf(a), { ...await listenOptions(values, a), signal }));
  await tellListening(server, context);
  if (b) return await serve(server, b, open, context);
  for await (const pipe of server) {
    // One conversation it is; with UDP the server's socket is the pipe's as well.
    if (a.transport !== "udp") await server.close();
    await talk(pipe, context, { messages: areMessages(values, a), ...given({ linger }) });
    return EXIT.fine;
  }
  return EXIT.fine;
}

function checkOptions({ values }: Context, listens: boolean, relays: boolean): void {
  const wrong = (why: string, hint: string): UsageError =>
    new UsageError(`Cannot run "holdfast pipe": ${why}`, hint);
  if (relays && values.number("linger") !== undefined) {
    throw wrong(
      '"--linger" is for standard input, and two URLs are given',
      'Leave out "--linger", or one of the URLs',
    );
  }
  if (listens && !relays && values.flag("reconnect")) {
    throw wrong(
      '"--reconnect" is for whoever connects, and it listens',
      'Leave out "--reconnect" or "--listen"',
    );
  }
}

/** The network's events are of use where something is connected to, and not needed. */
async function openNetwork(
  urls: readonly (PipeUrl | undefined)[],
  { signal, note }: Context,
): Promise<(NetworkView & AsyncDisposable) | undefined> {
  if (!urls.some((url) => url && "hostname" in url)) return undefined;
  try {
    return await watchNetwork({ signal });
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error;
    await note(`Cannot see the network's events (add ${error.flags.join(" ")})`);
    return undefined;
  }
}

/** Both, or none: where one cannot be opened the other one is ended. */
async function both(one: Promise<Pipe>, other: Promise<Pipe>): Promise<readonly [Pipe, Pipe]> {
  try {
    return await Promise.all([one, other]);
  } catch (error) {
    for (const opening of [one, other]) opening.then((pipe) => pipe.abort(error), () => {});
    throw error;
  }
}

/** A relay for each who comes, until the signal. */
async function serve(
  server: PipeServer,
  url: PipeUrl,
  open: (url: PipeUrl) => Promise<Pipe>,
  context: Context,
): Promise<number> {
  const running = new Set<Promise<void>>();
  const serveOne = async (client: Pipe): Promise<void> => {
    try {
      await relayed(client, await open(url), context);
    } catch (error) {
      await notRelayed(client, url, error, context);
    }
  };
  for await (const client of server) {
    // Standard output or error that nobody reads any more ends nobody's connection.
    const task = serveOne(client).catch(() => {}).finally(() => running.delete(task));
    running.add(task);
  }
  await Promise.all(running);
  return EXIT.fine;
}

async function tellListening(server: PipeServer, { json, emit, note }: Context): Promise<void> {
  const urls = server.addresses.map(formatPipeAddress);
  if (json) await emit<ListeningLine>({ type: "listening", urls });
  else await note(`Listening on ${urls.join(", ")}`);
}

function urlOf(url: PipeUrl): string {
  return formatPipeAddress(url) +
    ("path" in url && url.transport !== "unix" && url.path !== "/" ? url.path : "");
}
