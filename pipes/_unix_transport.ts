/** Pipes over Unix sockets. */

import type { PipeUrl } from "./address.ts";
import { connLink, type StreamConn } from "./_conn_link.ts";
import { connListener } from "./_conn_listener.ts";
import type { LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
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
  return connListener({
    accept: (): Promise<StreamConn> => listener.accept(),
    close: () => listener.close(),
    ref: () => listener.ref(),
    unref: () => listener.unref(),
  }, {
    address: { transport: "unix", path },
    closed: () => {
      // Another server may have taken the path meanwhile.
      if (own !== null && identity(path) === own) removeQuietly(path);
    },
    ...(clock ? { clock } : {}),
  });
}

/** Listens on a path, in the place of a server that has left its socket behind. */
async function take(path: string): Promise<Deno.UnixListener> {
  for (let tries = 0;; tries++) {
    try {
      return Deno.listen({ transport: "unix", path });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || tries >= 3 || !await isStale(path)) throw error;
    }
    removeQuietly(path);
  }
}

/** Whether a path is a socket that nobody listens on. */
async function isStale(path: string): Promise<boolean> {
  const before = identity(path);
  try {
    if (!Deno.lstatSync(path).isSocket) return false;
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    // It must be the same that was tried, or a server that has just begun would lose its own.
    return error instanceof Deno.errors.ConnectionRefused && identity(path) === before;
  }
}

/** Tells one file from another of the same name. */
function identity(path: string): string | null {
  try {
    const { dev, ino, birthtime, mtime } = Deno.lstatSync(path);
    return `${dev} ${ino} ${birthtime?.getTime()} ${mtime?.getTime()}`;
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
