/** A small proxy within the process, for tests: CONNECT or SOCKS 5, and a record of what it was asked for. */

/** How a proxy behaves. */
export interface ProxyServerOptions {
  /** How it is spoken with. */
  readonly kind: "http" | "socks5";
  /** Its certificate and key, where it is spoken with over TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Where it really connects to; by default where it is told to. */
  readonly to?: Deno.ConnectOptions;
}

/** A proxy that runs. */
export interface ProxyServer extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** What it was asked for: `host:port`, each once per connection. */
  readonly asked: readonly string[];
}

/** Starts it on 127.0.0.1. */
export function startProxy({ kind, tls, to }: ProxyServerOptions): ProxyServer {
  const where = { hostname: "127.0.0.1", port: 0 };
  const listener = tls ? Deno.listenTls({ ...where, ...tls }) : Deno.listen(where);
  const asked: string[] = [];
  const open = new Set<Deno.Conn>();
  const serve = async (near: Deno.Conn): Promise<void> => {
    open.add(near);
    let far: Deno.Conn | undefined;
    try {
      const [hostname, port] = await (kind === "http" ? readConnect(near) : readSocks(near));
      asked.push(`${hostname}:${port}`);
      far = await Deno.connect(to ?? { hostname, port });
      open.add(far);
      const yes = kind === "http"
        ? new TextEncoder().encode("HTTP/1.0 200 Connection established\r\nVia: 1.0 test\r\n\r\n")
        : Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0);
      await writeAll(near, yes);
      await Promise.all([carry(near, far), carry(far, near)]);
    } catch {
      // Whoever it was has gone.
    } finally {
      for (const conn of [near, far]) {
        if (!conn || !open.delete(conn)) continue;
        close(conn);
      }
    }
  };
  const serving = (async () => {
    const all: Promise<void>[] = [];
    for await (const conn of listener) all.push(serve(conn));
    await Promise.all(all);
  })();
  return {
    port: listener.addr.port,
    asked,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const conn of open) close(conn);
      open.clear();
      await serving;
    },
  };
}

async function carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      await writeAll(to, buffer.subarray(0, n));
    }
    await to.closeWrite();
  } catch (error) {
    // One direction that breaks ends the other.
    for (const conn of [from, to]) close(conn);
    throw error;
  }
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function readConnect(conn: Deno.Conn): Promise<readonly [string, number]> {
  let head = "";
  while (!head.endsWith("\r\n\r\n")) head += String.fromCharCode(...await exactly(conn, 1));
  const [, host = "", port] = /^CONNECT (?:\[([^\]]+)\]|[^:]+):(\d+) HTTP\/1\.1\r\n/.exec(
    head.replace(/^CONNECT ([^[:]+):/, "CONNECT [$1]:"),
  ) ?? [];
  return [host, Number(port)];
}

async function readSocks(conn: Deno.Conn): Promise<readonly [string, number]> {
  const [, methods = 0] = await exactly(conn, 2);
  await exactly(conn, methods);
  await writeAll(conn, Uint8Array.of(5, 0));
  const [, , , kind] = await exactly(conn, 4);
  const length = kind === 1 ? 4 : kind === 4 ? 16 : (await exactly(conn, 1))[0] ?? 0;
  const host = await exactly(conn, length);
  const [high = 0, low = 0] = await exactly(conn, 2);
  const name = kind === 3 ? new TextDecoder().decode(host) : [...host].join(".");
  return [name, high * 256 + low];
}

async function exactly(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const n = await conn.read(bytes.subarray(at));
    if (n === null) throw new Error("Cannot read: it has ended");
    at += n;
  }
  return bytes;
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
