/** The other end of what `pipes.ts` measures, on a thread of its own: takes in, and says when all of it is there; or echoes. */

import { lengthPrefix } from "../pipes/framing.ts";
import { listen } from "../pipes/listen.ts";
import type { Pipe } from "../pipes/pipe.ts";
import { wsLibrary } from "../pipes/_ws_library.ts";

/** What is used of a WebSocket of the library. */
interface WebSocket {
  on(type: "message", handler: (data: Uint8Array) => void): void;
  on(type: "close", handler: () => void): void;
  send(data: Uint8Array): void;
}

/** What the other end is to be. */
export interface Far {
  /**
   * By the runtime alone, with its reads or its streams; a pipe with its streams; a pipe with messages; a WebSocket by the
   * library alone, or as a pipe; a session, read by messages or as a stream.
   */
  readonly kind:
    | "raw"
    | "raw-streams"
    | "pipe-streams"
    | "pipe-messages"
    | "raw-ws"
    | "pipe-ws"
    | "session"
    | "session-streams";
  /** After how many bytes (of messages: without their framing) it sends one byte back; 0 to echo instead. */
  readonly total: number;
  /** The certificate, where it is to speak TLS by the runtime's own. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** The key of a session that is sealed. */
  readonly key?: Uint8Array;
}

/** Takes in through a stream. */
async function sink(
  readable: ReadableStream<Uint8Array>,
  total: number,
  done: () => Promise<unknown>,
): Promise<void> {
  let count = 0;
  for await (const chunk of readable) {
    count += chunk.length;
    if (count < total) continue;
    count -= total;
    await done();
  }
}

function serveRaw({ kind, total, tls }: Far): number {
  const where = { hostname: "127.0.0.1", port: 0 };
  const listener = tls ? Deno.listenTls({ ...where, ...tls }) : Deno.listen(where);
  const one = new Uint8Array(1);
  (async () => {
    const conn = await listener.accept();
    if ("setNoDelay" in conn) conn.setNoDelay(true);
    if (kind === "raw-streams") return await sink(conn.readable, total, () => conn.write(one));
    const buffer = new Uint8Array(64 * 1024);
    let count = 0;
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      if (total === 0) await conn.write(buffer.subarray(0, n));
      else if ((count += n) >= total) {
        count -= total;
        await conn.write(one);
      }
    }
    conn.close();
  })().catch(() => {}).finally(() => listener.close());
  return (listener.addr as Deno.NetAddr).port;
}

/** By the library alone, which gives what comes as soon as it is there. */
async function serveRawWs({ total }: Far): Promise<number> {
  const { WebSocketServer } = await wsLibrary();
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  const one = new Uint8Array(1);
  server.on("connection", (socket: WebSocket) => {
    let count = 0;
    socket.on("message", (data: Uint8Array) => {
      if (total === 0) return socket.send(data);
      count += data.length;
      if (count < total) return;
      count -= total;
      socket.send(one);
    });
    socket.on("close", () => server.close());
  });
  await new Promise((resolve) => server.on("listening", resolve));
  return (server.address() as unknown as Deno.NetAddr).port;
}

async function serveWsPipe({ total }: Far): Promise<number> {
  const { listen } = await import("../pipes/ws.ts");
  const server = await listen("ws://127.0.0.1:0");
  (async () => {
    for await (const pipe of server) {
      await takeMessages(pipe as Pipe, total);
      break;
    }
    await server.close();
  })().catch(() => {});
  return server.addresses[0]?.port ?? 0;
}

/** Takes in messages one by one. */
async function takeMessages(pipe: Pipe, total: number): Promise<void> {
  const one = new Uint8Array(1);
  let count = 0;
  for (let data = await pipe.recv(); data !== null; data = await pipe.recv()) {
    if (total === 0) await pipe.send(data);
    else if ((count += data.length) >= total) {
      count -= total;
      await pipe.send(one);
    }
  }
  await pipe.close();
}

async function servePipe({ kind, total, tls }: Far): Promise<number> {
  const options = kind === "pipe-messages" ? { framing: lengthPrefix() } : {};
  const server = tls
    ? await listen("tls://127.0.0.1:0", { ...options, tls: { ...tls, by: "native" } })
    : await listen("tcp://127.0.0.1:0", options);
  const { port } = server.addresses[0] ?? { port: 0 };
  const one = new Uint8Array(1);
  const serve = async (pipe: Pipe): Promise<void> => {
    if (kind === "pipe-streams") return await sink(pipe.readable, total, () => pipe.send(one));
    await takeMessages(pipe, total);
  };
  (async () => {
    for await (const pipe of server) {
      await serve(pipe);
      break;
    }
    await server.close();
  })().catch(() => {});
  return port;
}

async function serveSession({ kind, total, tls, key }: Far): Promise<number> {
  const { serveSessions } = await import("../pipes/resume/serve_sessions.ts");
  const server = await serveSessions(`resume+${tls ? "tls" : "tcp"}://127.0.0.1:0`, {
    ...(tls ? { tls: { ...tls, by: "native" } } : {}),
    ...(key ? { session: { seal: { key } } } : {}),
  });
  const one = new Uint8Array(1);
  (async () => {
    for await (const pipe of server) {
      if (kind === "session-streams") await sink(pipe.readable, total, () => pipe.send(one));
      else await takeMessages(pipe as unknown as Pipe, total);
      break;
    }
    await server.close();
  })().catch(() => {});
  const [address] = server.addresses;
  return address && "port" in address ? address.port : 0;
}

function serve(far: Far): number | Promise<number> {
  if (far.kind === "session" || far.kind === "session-streams") return serveSession(far);
  if (far.kind === "raw-ws") return serveRawWs(far);
  if (far.kind === "pipe-ws") return serveWsPipe(far);
  return far.kind.startsWith("raw") ? serveRaw(far) : servePipe(far);
}

self.addEventListener("message", async (event) => {
  const port = await serve((event as MessageEvent<Far>).data);
  (self as unknown as Worker).postMessage(port);
});
