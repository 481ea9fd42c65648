/** The class of the runtime's connections, which has no public name. */

import { permissionState, wouldPrompt } from "../../internal/permissions.ts";
import { ridOf, tcpHandleClass } from "./_internals.ts";

/** The class of the runtime's connections. */
export type ConnClass = new (
  rid: number,
  remoteAddr: Deno.Addr,
  localAddr: Deno.Addr,
  fd: number,
) => Deno.TcpConn;

let known: Promise<ConnClass | undefined> | undefined;

/**
 * Finds the class, and tries on two connections of our own whether one can be made of a descriptor.
 *
 * Needs the permission `net` for `127.0.0.1`.
 *
 * @returns The class; `undefined` where the runtime forbids it, or has changed.
 */
export function connClass(): Promise<ConnClass | undefined> {
  return known ??= find().catch(() => undefined);
}

async function find(): Promise<ConnClass | undefined> {
  const need = { name: "net", host: "127.0.0.1" } as const;
  if (permissionState(need) === "denied" || wouldPrompt([need])) return undefined;
  const TCP = await tcpHandleClass();
  if (!TCP) return undefined;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { hostname, port } = listener.addr;
  const [near, far] = await Promise.all([Deno.connect({ hostname, port }), listener.accept()]);
  let adopted: Deno.TcpConn | undefined;
  try {
    const Class = near.constructor as ConnClass;
    const rid = ridOf(near);
    const source = new TCP(0);
    if (rid === undefined || source.openFromRid?.(rid) !== 0) return undefined;
    const fd = source.fdForIpc();
    source.close();
    const handle = new TCP(0);
    if (fd < 0 || handle.open(fd) !== 0) return undefined;
    const taken = handle.takeStream?.();
    handle.close();
    if (taken === undefined) return undefined;
    adopted = new Class(taken, near.remoteAddr, near.localAddr, fd);
    return await speaks(adopted, far) ? Class : undefined;
  } finally {
    adopted?.close();
    near.close();
    far.close();
  }
}

/** Whether what one end writes is what the other one reads, both ways. */
async function speaks(one: Deno.Conn, other: Deno.Conn): Promise<boolean> {
  const buffer = new Uint8Array(2);
  for (const [from, to] of [[one, other], [other, one]] as const) {
    if (await from.write(new Uint8Array([7])) !== 1) return false;
    if (await to.read(buffer) !== 1 || buffer[0] !== 7) return false;
  }
  return true;
}
