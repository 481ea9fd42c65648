/** Ends of WebSockets for tests: ours, and those of others. */

import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocketPipe } from "../pipes/pipe.ts";
import type { PipeServer } from "../pipes/server.ts";
import { connect, listen, type WebSocketPipeOptions, type WebSocketServerOptions } from "../pipes/ws.ts";

/** What was received, as text. */
export const text = (data: Uint8Array | null): string | null => data && new TextDecoder().decode(data);

/** A server of ours, the pipe of a client of ours, and the server's end of it. */
export interface Ends extends AsyncDisposable {
  readonly server: PipeServer<WebSocketPipe>;
  readonly client: WebSocketPipe;
  readonly accepted: WebSocketPipe;
}

/** Connects a client of ours to a server of ours. */
export async function ends(
  options: { readonly client?: WebSocketPipeOptions; readonly server?: WebSocketServerOptions } = {},
): Promise<Ends> {
  const server = await listen("ws://127.0.0.1:0", options.server);
  const [client, accepted] = await Promise.all([
    connect(`ws://${hostOf(server)}`, options.client),
    next(server),
  ]);
  return {
    ...{ server, client, accepted },
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), accepted.close(), server.close()]);
    },
  };
}

/** The next pipe of a server. */
export async function next<P>(server: AsyncIterable<P>): Promise<P> {
  for await (const pipe of server) return pipe;
  throw new Error("Cannot accept: the server has ended");
}

/** Host and port of a server's first address. */
export function hostOf(server: PipeServer<WebSocketPipe>): string {
  const [address] = server.addresses;
  return `${address?.hostname}:${address?.port}`;
}

/** What a test does with a WebSocket of `npm:ws`. */
export interface ForeignSocket {
  readonly bufferedAmount: number;
  on(event: "message", handler: (data: Uint8Array, isBinary: boolean) => void): unknown;
  on(event: "close", handler: (code: number, reason: Uint8Array) => void): unknown;
  send(data: Uint8Array | string): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
}

/** A server of `npm:ws`, on its own, that does with each client what a test says. */
export async function foreignServer(
  serve: (socket: ForeignSocket) => void,
  options: Record<string, unknown> = {},
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options });
  server.on("connection", (socket: ForeignSocket) => serve(socket));
  await new Promise<void>((resolve) => server.once("listening", () => resolve()));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Waits until a number has not changed for a while: who sends is held back. */
export async function settled(read: () => number): Promise<number> {
  let last = read();
  for (let same = 0; same < 6;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    same = read() === last ? same + 1 : 0;
    last = read();
  }
  return last;
}
