/** Pipes over Unix sockets. */

import { classify } from "../recover/classify.ts";
import type { PipeUrl } from "./address.ts";
import { connLink, type StreamConn } from "./_conn_link.ts";
import { connListener } from "./_conn_listener.ts";
import type { LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
import { PipeError } from "./pipe_error.ts";
import type { PipeTransport } from "./_transport.ts";

/** Carries `unix:`. */
export const unixTransport: PipeTransport = {
  schemes: ["unix"],
  dial: (url, { clock }) => async ({ signal }) => {
    signal.throwIfAborted();
    const path = pathOf(url);
    const conn = await Deno.connect({ transport: "unix", path });
    if (signal.aborted) {
      conn.close();
      throw signal.reason;
    }
    return connLink(conn, { path, ...(clock ? { clock } : {}) });
  },
  listen: listenOn,
};

async function listenOn(url: PipeUrl, { clock }: ListenOptions): Promise<LinkListener> {
  const path = pathOf(url);
  const listener = await take(path);
  const own = identity(path);
  let restore: (() => void) | undefined;
  return connListener({
    accept: (): Promise<StreamConn> => listener.accept(),
    close: () => {
      // The runtime removes whatever lies there now, and another server may have taken the path meanwhile.
      if (own !== identity(path)) restore = putAside(path);
      listener.close();
    },
    ref: () => listener.ref(),
    unref: () => listener.unref(),
  }, {
    address: { transport: "unix", path },
    closed: () => restore?.(),
    ...(clock ? { clock } : {}),
  });
}

/** Moves a file away; returns what puts it back, or `undefined` where there is none. */
function putAside(path: string): (() => void) | undefined {
  const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    Deno.renameSync(path, aside);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return () => Deno.renameSync(aside, path);
}

/** Listens on a path, in the place of a server that has left its socket behind. */
async function take(path: string): Promise<Deno.UnixListener> {
  for (let tries = 0;; tries++) {
    try {
      return Deno.listen({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      const obstacle = tries < 3 ? await obstacleAt(path) : "its file comes back again and again";
      if (obstacle !== null) throw inUse(path, obstacle, error);
    }
    removeQuietly(path);
  }
}

/** What is there in place of a socket that nobody listens on; `null` for such a one. */
async function obstacleAt(path: string): Promise<string | null> {
  const before = identity(path);
  try {
    if (before !== null && !Deno.lstatSync(path).isSocket) return "a file is there that is no socket";
    (await Deno.connect({ transport: "unix", path })).close();
    return "a server listens there";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    // It must be the same that was tried, or a server that has just begun would lose its own.
    return identity(path) === before ? null : "another server has just begun to listen there";
  }
}

function inUse(path: string, why: string, cause: unknown): PipeError {
  // Not of the path: what a path says by that error is that nobody listens there.
  const failure = classify(cause, { operation: "listen" });
  return new PipeError(`Cannot listen on unix:${path}: ${why}`, {
    code: "listen",
    operation: "listen",
    failure,
    cause,
    hint: failure.hint,
  });
}

/** Tells one file from another of the same name. */
function identity(path: string): string | null {
  try {
    const { dev, ino, birthtime } = Deno.lstatSync(path);
    return `${dev} ${ino} ${birthtime?.getTime()}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function pathOf(url: PipeUrl): string {
  if (url.transport === "unix") return url.path;
  throw new TypeError(`Cannot use ${url.transport}: this carries unix: only`);
}
