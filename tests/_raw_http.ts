/** A server of HTTP/1.1 that answers what a test says, byte for byte, and remembers every request that it has read. */

/** A request as it was read. */
export interface RawRequest {
  /** Its method, for example `"GET"`. */
  readonly method: string;
  /** The path asked for. */
  readonly path: string;
  /** Its headers, by names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Which request of its connection it is, from 1. */
  readonly turn: number;
}

/** The server. */
export interface RawHttp extends AsyncDisposable {
  /** Where it listens, for example `"http://127.0.0.1:8080"`. */
  readonly origin: string;
  /** What it has read, in order. */
  readonly requests: readonly RawRequest[];
}

/** What to send, and whether to end the connection after it; `null` ends it without an answer. */
export type RawAnswer = { readonly text: string; readonly end?: boolean } | null;

/** A whole answer, after which the connection stays open. */
export function whole(body: string, ...headers: readonly string[]): RawAnswer {
  const head = ["HTTP/1.1 200 OK", `Content-Length: ${body.length}`, ...headers];
  return { text: `${head.join("\r\n")}\r\n\r\n${body}` };
}

/** Starts a server on this machine. */
export function serveRaw(answer: (request: RawRequest) => RawAnswer): RawHttp {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const requests: RawRequest[] = [];
  const open = new Set<Deno.TcpConn>();
  const serve = async (conn: Deno.TcpConn): Promise<void> => {
    for (let turn = 1;; turn++) {
      const request = await read(conn, turn);
      if (request === null) return;
      requests.push(request);
      const reply = answer(request);
      if (reply !== null) await conn.write(new TextEncoder().encode(reply.text));
      if (reply === null || reply.end) return;
    }
  };
  const accepting = (async () => {
    const serving: Promise<void>[] = [];
    for await (const conn of listener) {
      open.add(conn);
      // A client that goes away in the middle is none of the server's business.
      serving.push(serve(conn).catch(() => {}).finally(() => open.delete(conn) && conn.close()));
    }
    await Promise.all(serving);
  })();
  return {
    origin: `http://127.0.0.1:${listener.addr.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) {
        open.delete(conn);
        conn.close();
      }
      await accepting;
    },
  };
}

/** Reads a request with its body; `null` where there is none any more. */
async function read(conn: Deno.TcpConn, turn: number): Promise<RawRequest | null> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!isWhole(text)) {
    const count = await conn.read(buffer);
    if (count === null) return null;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  const [first = "", ...lines] = headOf(text).split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  return { method, path, headers: headersOf(lines), turn };
}

function headOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf("\r\n\r\n")));
}

function headersOf(lines: readonly string[]): ReadonlyMap<string, string> {
  return new Map(lines.map((line) => {
    const [name = "", ...value] = line.split(":");
    return [name.toLowerCase(), value.join(":").trim()];
  }));
}

function isWhole(text: string): boolean {
  const head = headOf(text);
  if (head === "") return false;
  const headers = headersOf(head.split("\r\n").slice(1));
  const body = text.slice(head.length + 4);
  if (headers.get("transfer-encoding") === "chunked") return body.endsWith("0\r\n\r\n");
  return body.length >= Number(headers.get("content-length") ?? 0);
}
