/** `holdfast push --listen HOST:PORT [--to PATH] [--route KIND:NAME=PATH]`. */

import { formatPipeAddress } from "../../pipes/address.ts";
import type { PushRoutes, RouteTable } from "../../pipes/push/_choose_route.ts";
import { type PushRouter, routePushes } from "../../pipes/push/route.ts";
import { EXIT } from "../failure.ts";
import { pipeTarget } from "../pipe_target.ts";
import type { Context, Line } from "../spec.ts";
import { printable } from "../style.ts";
import { UsageError } from "../usage_error.ts";
import { given } from "../values.ts";
import type { ListeningLine } from "./pipe.ts";

/** A connection went to a process; a line of `--json`. */
export interface RoutedLine extends Line {
  /** The tag. */
  readonly type: "routed";
  /** The client. */
  readonly remote: string;
  /** What it speaks, as far as was looked at: `tls`, `http`, `http2`, `proxy` or `unknown`. */
  readonly kind: string;
  /** The name it asked for, or `null`. */
  readonly name: string | null;
  /** Where the process listens. */
  readonly to: string;
  /** The process. */
  readonly pid: number;
}

/** A connection was closed; a line of `--json`. */
export interface UnroutedLine extends Line {
  /** The tag. */
  readonly type: "unrouted";
  /** The client. */
  readonly remote: string;
  /** A stable name of the reason. */
  readonly code: string;
  /** Why. */
  readonly message: string;
}

const KINDS = ["sni", "host", "alpn", "proxy"] as const;

/** Accepts and hands over, until the signal. */
export async function run(context: Context): Promise<number> {
  const { values, signal } = context;
  const where = values.text("listen");
  const to = values.list("to");
  const routes = routesOf(values.list("route"));
  if (where === undefined) throw wrong('"--listen" is missing', "Add --listen HOST:PORT");
  if (to.length === 0 && Object.keys(routes).length === 0) {
    throw wrong("nobody is to get the connections", "Add --to PATH, or --route KIND:NAME=PATH");
  }
  const place = pipeTarget(`tcp://${where.replace(/^tcp:\/\//, "")}`, "listen");
  if (!("port" in place)) throw wrong(`"${where}" is not HOST:PORT`, "Write it as HOST:PORT");
  const listener = Deno.listen({ hostname: place.hostname || "0.0.0.0", port: place.port });
  await using router = await routePushes(listener, {
    routes,
    signal,
    ...given({ fallback: to.length > 0 ? to : undefined, timeout: values.number("timeout") }),
    push: { plain: values.flag("plain") },
  }).catch((error) => {
    listener.close();
    throw error;
  });
  const told = tell(router, context);
  const urls = [formatPipeAddress({ ...listener.addr, transport: "tcp" })];
  if (context.json) await context.emit<ListeningLine>({ type: "listening", urls });
  else await context.note(`Listening on ${urls.join(", ")}`);
  await router.closed;
  await told();
  return EXIT.fine;
}

/** Writes what happens, in order; returns what waits for the last line. */
function tell(router: PushRouter, { json, emit, note }: Context): () => Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  // Standard output or error that nobody reads any more ends nobody's connection.
  const write = (line: () => Promise<void>): void => void (writing = writing.then(line).catch(() => {}));
  router.on("routed", ({ remote, route, proxy, path, peer }) => {
    const seen = route === "unknown" ? proxy : route;
    const [kind, name] = seen ? [seen.kind, seen.name] : ["unknown", null];
    const line: RoutedLine = { type: "routed", remote: placeOf(remote), kind, name, to: path, pid: peer.pid };
    const asked = name === null ? kind : `${kind} ${name}`;
    write(() =>
      json ? emit(line) : note(`${line.remote}: ${printable(asked)} to ${path} (process ${peer.pid})`)
    );
  });
  router.on("unrouted", ({ remote, error: { code, message } }) => {
    const line: UnroutedLine = { type: "unrouted", remote: placeOf(remote), code, message };
    write(() => json ? emit(line) : note(`${line.remote}: ${printable(message)}`));
  });
  return () => writing;
}

function placeOf(address: Deno.Addr): string {
  return "hostname" in address ? formatPipeAddress({ ...address, transport: "tcp" }) : "unix:";
}

function routesOf(texts: readonly string[]): PushRoutes {
  const routes: Partial<Record<typeof KINDS[number], RouteTable>> = {};
  for (const text of texts) {
    const match = /^([a-z]+):(.+?)=(.+)$/.exec(text);
    const kind = KINDS.find((kind) => kind === match?.[1]);
    const [, , name, path] = match ?? [];
    if (!kind || name === undefined || path === undefined) {
      throw wrong(`"${text}" is no route`, `Write it as KIND:NAME=PATH; KIND is one of ${KINDS.join(", ")}`);
    }
    const before = routes[kind]?.[name];
    routes[kind] = { ...routes[kind], [name]: before === undefined ? path : [before, path].flat() };
  }
  return routes;
}

function wrong(why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast push": ${why}`, hint);
}
