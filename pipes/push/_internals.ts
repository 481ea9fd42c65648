/**
 * What is used of the runtime beyond its public side, in one place. None of it is relied on: each has a switch, is looked
 * for before it is used, and has a public way behind it.
 */

import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";

/**
 * One use of the runtime's inside: `handle`: the descriptor of a socket of Node's part; `from-rid`: that of a connection by its
 * number among the runtime's resources; `symbol`: the number that an accepted connection carries; `take-stream`: a
 * connection of the runtime made of a descriptor; `http-abort`: a connection let go without a word to the other end;
 * `datagram`: a socket for datagrams made of a descriptor; `transplant`: a descriptor put in the place of a listener's own.
 */
export type Trick =
  | "handle"
  | "from-rid"
  | "symbol"
  | "take-stream"
  | "http-abort"
  | "datagram"
  | "transplant";

/** A handle of Node's part for a stream or a listener. */
export interface StreamHandle {
  open(fd: number): number;
  close(): void;
  fdForIpc(): number;
  reading?: boolean;
  readStop?(): number;
  readStart?(): number;
  setBlocking?(blocking: boolean): number;
  openFromRid?(rid: number): number;
  takeStream?(): number;
  getpeername?(into: { address?: string; port?: number }): number;
  getsockname?(into: { address?: string; port?: number }): number;
}

/** A handle of Node's part for datagrams. */
export interface DatagramHandle {
  open(fd: number): number;
  close(): void;
  fdForIpc(): number;
  getsockname?(into: { address?: string; port?: number }): number;
  getpeername?(into: { address?: string; port?: number }): number;
}

const off = new Set<Trick>();

/**
 * Does without some of them, for tests.
 *
 * @returns What switches them on again.
 */
export function withoutTricks(...tricks: readonly Trick[]): Disposable {
  const added = tricks.filter((trick) => !off.has(trick));
  for (const trick of added) off.add(trick);
  return { [Symbol.dispose]: () => added.forEach((trick) => off.delete(trick)) };
}

/** Whether one of them may be used. */
export function mayUse(trick: Trick): boolean {
  return !off.has(trick);
}

/** The class of Node's handles for TCP, `undefined` where there is none to be found. */
export async function tcpHandleClass(): Promise<(new (type: 0 | 1) => StreamHandle) | undefined> {
  return await binding("tcp_wrap", "TCP");
}

/** The class of Node's handles for Unix sockets, `undefined` where there is none to be found. */
export async function unixHandleClass(): Promise<
  (new (type: 0 | 1) => StreamHandle & { listen(backlog: number): number }) | undefined
> {
  return await binding("pipe_wrap", "Pipe");
}

/** What tells the kind of a descriptor: `"TCP"`, `"PIPE"`, `"FILE"`, `"UNKNOWN"`; `undefined` where there is nothing to be found. */
export async function descriptorTeller(): Promise<((fd: number) => string) | undefined> {
  return await binding("util", "guessHandleType");
}

/** The class of Node's handles for datagrams, `undefined` where there is none to be found. */
export async function datagramHandleClass(): Promise<(new () => DatagramHandle) | undefined> {
  return await binding("udp_wrap", "UDP");
}

/** The handle inside a socket or server of Node's part. */
export function handleOf(socket: Socket | Server): StreamHandle | undefined {
  const handle = (socket as { readonly _handle?: Partial<StreamHandle> | null })._handle;
  return typeof handle?.fdForIpc === "function" ? handle as StreamHandle : undefined;
}

/** The handle inside a socket for datagrams of Node's part. */
export function datagramHandleOf(socket: DatagramSocket): DatagramHandle | undefined {
  const inside = symbolOf<{ readonly handle?: Partial<DatagramHandle> }>(socket, "kStateSymbol")?.handle;
  return typeof inside?.fdForIpc === "function" ? inside as DatagramHandle : undefined;
}

/** The number of a connection among the runtime's resources. */
export function ridOf(conn: object): number | undefined {
  const rid = symbolOf(conn, "Deno.internal.rid");
  return typeof rid === "number" ? rid : undefined;
}

/** The number that an accepted connection carries; it may be out of date. */
export function descriptorSymbolOf(conn: object): number | undefined {
  const fd = symbolOf(conn, "Deno.internal.fd");
  return typeof fd === "number" && fd > 2 ? fd : undefined;
}

/** The runtime's HTTP server over one connection. */
export type ServeConnection = (
  conn: Deno.Conn,
  signal: AbortSignal,
  handler: (request: Request) => Response,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => { readonly finished?: Promise<void> };

/** The runtime's HTTP server over one connection, `undefined` where there is none to be found. */
export function serveConnection(): ServeConnection | undefined {
  const runtime = Deno as unknown as Record<PropertyKey, unknown>;
  const inside = runtime[runtime["internal"] as symbol] as Record<string, unknown> | undefined;
  const serve = inside?.["serveHttpOnConnection"];
  return typeof serve === "function" ? serve as ServeConnection : undefined;
}

async function binding<T>(module: string, name: string): Promise<T | undefined> {
  const { default: process } = await import("node:process");
  try {
    const get = (process as unknown as { binding?(name: string): Record<string, unknown> }).binding;
    const found = get?.call(process, module)[name];
    return typeof found === "function" ? found as T : undefined;
  } catch {
    // The runtime has it no more, and the public way goes on.
    return undefined;
  }
}

function symbolOf<T = unknown>(object: object, description: string): T | undefined {
  const key = Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
  return key && (object as Readonly<Record<symbol, T>>)[key];
}
