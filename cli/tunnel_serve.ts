/** `holdfast tunnel serve`. */

import { systemClock, type Timer } from "../internal/clock.ts";
import type { Tunnel } from "../pipes/tunnel/tunnel.ts";
import { serveTunnel } from "../pipes/tunnel/serve_tunnel.ts";
import { EXIT } from "./failure.ts";
import type { Context } from "./spec.ts";
import { carrierUrl, innerAddress, keyOf, readPem, wrong } from "./tunnel_options.ts";
import { showLive } from "./tunnel_live.ts";
import { reportTunnel, tellKey } from "./tunnel_report.ts";
import { given, type Values } from "./values.ts";

/** Serves until the signal. */
export async function runServer(context: Context): Promise<number> {
  const { values, signal } = context;
  const key = await keyOf("serve", values);
  const authorized = values.text("authorized");
  if (key?.type === "pair" && authorized === undefined) {
    throw wrong(
      "serve",
      "the key is a pair, and who is let in must be known",
      'Write "--authorized FILE" with the clients\' public keys',
    );
  }
  if (!key && authorized !== undefined) {
    throw wrong("serve", '"--authorized" needs a key', 'Leave out "--plain", and write "--key-file FILE"');
  }
  const to = values.list("to").map((one) => one === "*" ? one : innerAddress("serve", one, "connect"));
  const listens = values.list("allow-listen").map((one) => innerAddress("serve", one, "listen"));
  if (to.length === 0 && listens.length === 0 && authorized === undefined) {
    throw wrong("serve", "no target is allowed", 'Write "--to HOST:PORT", for example "--to 127.0.0.1:22"');
  }
  const tls = await tlsOf(values);
  const [listen, second] = values.list("listen");
  if (listen === undefined || second !== undefined) {
    throw wrong(
      "serve",
      'it needs "--listen" once',
      'Write "--listen :7000", or with the address to listen on',
    );
  }
  const url = carrierUrl("serve", listen, "listen", tls !== undefined);
  await using tunnel = await serveTunnel(url, {
    ...{ to, listen: listens, allowPrivate: values.flag("allow-private") },
    ...{ plain: values.flag("plain"), signal },
    ...given({
      ...{ key, authorized, tls },
      expiry: values.number("expiry"),
      maxConnections: values.number("max-connections"),
      maxPerClient: values.number("max-per-client"),
    }),
  });
  await tellKey(key, context);
  await using _live = await showLive({ side: "serve", key: key?.fingerprint ?? null, tunnel }, context);
  using _report = await reportTunnel(tunnel, context, { side: "serve", target: to.join(", ") });
  using _idle = endIdle(tunnel, values.number("idle"));
  await tunnel.closed;
  return EXIT.fine;
}

/** Ends a tunnel that nobody has used for so long. */
function endIdle(tunnel: Tunnel, idle: number | undefined): Disposable {
  const stack = new DisposableStack();
  if (idle === undefined) return stack;
  let timer: Timer | undefined;
  const look = (): void => {
    timer?.cancel();
    timer = systemClock.after(idle, () => tunnel.connections.length === 0 ? void tunnel.close() : look());
  };
  look();
  stack.use(tunnel.on("end", look));
  stack.defer(() => timer?.cancel());
  return stack;
}

async function tlsOf(values: Values): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  const [cert, key] = [values.text("tls-cert"), values.text("tls-key")];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw wrong(
      "serve",
      "TLS needs a certificate and its key",
      'Write "--tls-cert FILE" and "--tls-key FILE", both in PEM',
    );
  }
  return { cert: await readPem("serve", "tls-cert", cert), key: await readPem("serve", "tls-key", key) };
}
