/**
 * Run on the server's side of the laboratory: takes orders, one a line, and confirms each with a line. An order that it has
 * seen before is not carried out again.
 *
 * Its arguments are address and port (0 for any); then it reads lines, each a {@linkcode OrderCommand}, and answers each
 * with a line, an {@linkcode OrderState}.
 */

/** What it can be asked: what has happened, and to say something to all who are connected. */
export type OrderCommand = { readonly do: "state" } | { readonly do: "say"; readonly text: string };

/** What has happened there. */
export interface OrderState {
  /** Where it listens. */
  readonly port: number;
  /** How many orders came in. */
  readonly received: number;
  /** How many of them were carried out. */
  readonly executed: number;
  /** How each connection that is over has ended, by the class of its error. */
  readonly ended: readonly string[];
}

async function main([hostname = "", port = ""]: readonly string[]): Promise<void> {
  const listener = Deno.listen({ hostname, port: Number(port) });
  const open = new Set<Deno.Conn>();
  const seen = new Set<string>();
  const ended: string[] = [];
  let received = 0;
  const state = (): string =>
    JSON.stringify(
      { port: listener.addr.port, received, executed: seen.size, ended } satisfies OrderState,
    );
  const serve = async (conn: Deno.TcpConn): Promise<void> => {
    conn.setNoDelay();
    open.add(conn);
    for await (const line of linesOf(conn.readable)) {
      received++;
      seen.add(line);
      await say(conn, `done ${line.slice(0, 20)}\n`);
    }
  };
  const accept = async (): Promise<void> => {
    for await (const conn of listener) {
      serve(conn).then(() => "end", (error) => error.name).then((how) => {
        open.delete(conn);
        ended.push(how);
      });
    }
  };
  accept();
  console.log(state());
  for await (const line of linesOf(Deno.stdin.readable)) {
    const command: OrderCommand = JSON.parse(line);
    if (command.do === "say") await Promise.all([...open].map((conn) => say(conn, command.text)));
    console.log(state());
  }
}

async function say(conn: Deno.Conn, text: string): Promise<void> {
  await conn.write(new TextEncoder().encode(text));
}

async function* linesOf(readable: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

if (import.meta.main) await main(Deno.args);
