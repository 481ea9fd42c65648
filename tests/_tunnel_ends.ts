/** Both ends of a tunnel in this process, a target, programs, and the link between. */

import type { EventOf } from "../internal/events.ts";
import { openTunnel, type OpenTunnelOptions, type TunnelClientEnd } from "../pipes/tunnel/open_tunnel.ts";
import { serveTunnel, type ServeTunnelOptions } from "../pipes/tunnel/serve_tunnel.ts";
import type { Tunnel, TunnelEvent } from "../pipes/tunnel/tunnel.ts";
import { makeSharedKey, type SharedKey } from "../pipes/resume/key_text.ts";
import { type ChaosLink, startChaosLink } from "../testing/chaos_link.ts";

/** How to set it up. */
export interface TunnelEndsOptions {
  readonly server?: Partial<ServeTunnelOptions>;
  readonly client?: Partial<OpenTunnelOptions>;
}

/** All of it. */
export interface TunnelEnds extends AsyncDisposable {
  readonly key: SharedKey;
  readonly target: Deno.TcpListener;
  readonly link: ChaosLink;
  readonly server: Tunnel;
  readonly client: TunnelClientEnd;
  /** Where programs come. */
  readonly port: number;
  /** A program that has connected, and its other end at the target. */
  pair(): Promise<readonly [program: Deno.TcpConn, target: Deno.TcpConn]>;
}

/** Sets it up. */
export async function tunnelEnds(options: TunnelEndsOptions = {}): Promise<TunnelEnds> {
  const target = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const key = makeSharedKey();
  const to = [`127.0.0.1:${target.addr.port}`];
  const server = await serveTunnel("tcp://127.0.0.1:0", { key, to, ...options.server });
  const link = await startChaosLink({ target: (server.addresses[0] ?? "").replace("tcp://", "") });
  const forwards = [{ listen: "127.0.0.1:0" }];
  const client = await openTunnel(`tcp://${link.address}`, { key, forwards, ...options.client });
  const port = Number(client.addresses[0]?.split(":").at(-1));
  return {
    ...{ key, target, link, server, client, port },
    async pair() {
      const program = await Deno.connect({ port });
      return [program, await target.accept()];
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close();
      await link.close();
      target.close();
    },
  };
}

/** The next event of a type. */
export function nextEvent<T extends TunnelEvent["type"]>(
  tunnel: Tunnel,
  type: T,
): Promise<EventOf<TunnelEvent, T>> {
  return new Promise((resolve) => {
    const registration = tunnel.on(type, (event) => {
      registration[Symbol.dispose]();
      resolve(event);
    });
  });
}

/** Reads to the end, and tells what it was: the bytes, by their hash, or how it was broken off. */
export async function readToEnd(
  conn: Deno.Conn,
): Promise<{ readonly count: number; readonly hash: string; readonly end: string }> {
  const hash = (await import("node:crypto")).createHash("sha256");
  const buffer = new Uint8Array(64 * 1024);
  let count = 0;
  let end = "end";
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      hash.update(buffer.subarray(0, n));
      count += n;
    }
  } catch (error) {
    end = error instanceof Deno.errors.ConnectionReset ? "reset" : String(error);
  }
  return { count, hash: hash.digest("hex"), end };
}

/** Writes so many bytes, and tells their hash. */
export async function writeMuch(conn: Deno.Conn, total: number): Promise<string> {
  const hash = (await import("node:crypto")).createHash("sha256");
  const data = crypto.getRandomValues(new Uint8Array(64 * 1024));
  for (let left = total; left > 0;) {
    const part = data.subarray(0, Math.min(left, data.length));
    // Every part is another one, or one too many would not be seen.
    new DataView(data.buffer).setUint32(0, left);
    hash.update(part);
    for (let at = 0; at < part.length;) at += await conn.write(part.subarray(at));
    left -= part.length;
  }
  return hash.digest("hex");
}
