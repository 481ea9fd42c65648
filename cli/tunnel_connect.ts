/** `holdfast tunnel connect`. */

import {
  openTunnel,
  type TunnelClientEnd,
  type TunnelForward,
  type TunnelReverse,
} from "../pipes/tunnel/open_tunnel.ts";
import { TunnelError } from "../pipes/tunnel/tunnel_error.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { PermissionError } from "../internal/errors.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { watchNetwork } from "../watch/mod.ts";
import { EXIT } from "./failure.ts";
import { talk } from "./pipe_stdio.ts";
import { webSocketClient } from "./pipe_web_socket.ts";
import type { Context } from "./spec.ts";
import { carrierUrl, innerAddress, keyOf, readPem, serverKeysOf, wrong } from "./tunnel_options.ts";
import { showLive } from "./tunnel_live.ts";
import { reportTunnel, tellKey } from "./tunnel_report.ts";
import { given, type Values } from "./values.ts";

/** Connects until the signal, or for as long as standard input and output are of use. */
export async function connectTunnel(context: Context): Promise<number> {
  const { values, signal } = context;
  const key = await keyOf("connect", values);
  const serverKeys = await serverKeysOf(values, key);
  const [server, ...endpoints] = values.list("server").map((one) =>
    carrierUrl("connect", one, "connect", false)
  );
  if (server === undefined) throw wrong("connect", "the server is missing", 'Write "--server HOST:PORT"');
  const forwards = forwardsOf(values);
  const ca = values.text("ca");
  await using stack = new AsyncDisposableStack();
  const network = await openNetwork(context);
  if (network) stack.use(network);
  const tunnel = stack.use(
    await openTunnel(server, {
      ...{ endpoints, forwards, reverses: reversesOf(values), socks: socksOf(values) },
      ...{ plain: values.flag("plain"), signal, transports: [webSocketClient()] },
      ...given({
        ...{ key, serverKeys, network, proxy: values.text("proxy") },
        tls: ca === undefined ? undefined : { caCerts: [await readPem("connect", "ca", ca)] },
        expiry: values.number("expiry"),
        maxConnections: values.number("max-connections"),
        timeout: values.number("timeout"),
      }),
    }),
  );
  if (values.flag("stdio")) {
    const [to] = values.list("to");
    const pipe = await tunnel.open(to) as unknown as Pipe;
    await talk(pipe, context, { messages: false });
    return EXIT.fine;
  }
  await tellKey(key, context);
  await using _live = await showLive({ side: "connect", key: key?.fingerprint ?? null, tunnel }, context);
  using _report = await reportTunnel(tunnel, context, { side: "connect", target: null });
  await Promise.race([tunnel.closed, checked(tunnel, forwards, context)]);
  return EXIT.fine;
}

/** Settled only by a server that will never let us in, which whoever started this should hear of now. */
async function checked(
  tunnel: TunnelClientEnd,
  forwards: readonly TunnelForward[],
  context: Context,
): Promise<never> {
  try {
    await tunnel.check();
    for (const { to } of forwards) if (to !== undefined) await tunnel.check(to);
  } catch (error) {
    if (error instanceof TunnelError) throw error;
    // It may be there later: programs that come meanwhile wait.
    if (!context.signal.aborted) await context.note(error instanceof Error ? error.message : String(error));
  }
  return await new Promise<never>(() => {});
}

/** `ADDRESS`, or `ADDRESS=TARGET`. */
function forwardsOf(values: Values): readonly TunnelForward[] {
  const [common, second] = values.list("to").map((one) => innerAddress("connect", one, "connect"));
  const listens = values.list("listen");
  if (second !== undefined) {
    throw wrong("connect", '"--to" is given several times', 'Write "--listen ADDRESS=TARGET" for each');
  }
  if (values.flag("stdio") && listens.length > 0) {
    throw wrong("connect", '"--stdio" has no "--listen"', "Leave out one of them");
  }
  const others = values.list("reverse").length + values.list("socks").length;
  if (!values.flag("stdio") && listens.length + others === 0) {
    throw wrong("connect", "nothing is forwarded", 'Write "--listen 127.0.0.1:PORT", or "--stdio"');
  }
  return listens.map((text) => {
    const [, address = "", target] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    const to = target === undefined ? common : innerAddress("connect", target, "connect");
    return { listen: innerAddress("connect", address, "listen"), ...given({ to }) };
  });
}

/** `ADDRESS=TARGET`. */
function reversesOf(values: Values): readonly TunnelReverse[] {
  return values.list("reverse").map((text) => {
    const [, address = "", target] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    if (target === undefined) {
      throw wrong("connect", `"--reverse ${text}" has no target`, 'Write "--reverse :8080=127.0.0.1:80"');
    }
    // A port alone is one of the server's own machine.
    return {
      listen: innerAddress("connect", address, "listen"),
      to: innerAddress("connect", target, "connect"),
    };
  });
}

function socksOf(values: Values): readonly string[] {
  return values.list("socks").map((one) => innerAddress("connect", one, "listen"));
}

/** The network's events make it quicker, and are not needed. */
export async function openNetwork(
  { signal, note }: Context,
): Promise<(NetworkView & AsyncDisposable) | undefined> {
  try {
    return await watchNetwork({ signal });
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error;
    await note(`Cannot see the network's events (add ${error.flags.join(" ")})`);
    return undefined;
  }
}
