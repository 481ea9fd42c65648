/** The session protocol's second implementation, `tests/session_peer/peer.py`, as a process that a test talks to. */

const PROGRAM = new URL("session_peer/peer.py", import.meta.url).pathname;

/** Debian's own, whatever stands first on the search path: it has the packages that Debian installs. */
export const PYTHON = "/usr/bin/python3";

/** How long it may live, in milliseconds. */
const PATIENCE = 60_000;

/** A line that it has printed; which fields it has, peer.py tells. */
export interface PeerLine {
  /** `listening`, `session`, `carrier`, `lost`, `refused`, `paused`, `report` or `end`. */
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A foreign end of sessions. Disposing it ends it. */
export interface SessionPeer extends AsyncDisposable {
  /** Resolves with the next line of that type; those before it are passed over. Rejects when there is none. */
  until(type: string): Promise<PeerLine>;
  /** Tells it to do something, for example `{ do: "send", count: 1000 }`. */
  tell(command: { readonly do: string; readonly [field: string]: unknown }): Promise<void>;
}

/**
 * Starts it as a client (`--connect ADDRESS`) or a server (`--listen 127.0.0.1:0`, whose `listening` line has the
 * `address`).
 *
 * @param args Its arguments: `python3 tests/session_peer/peer.py --help` lists them.
 */
export function startSessionPeer(args: readonly string[]): SessionPeer {
  const child = new Deno.Command(PYTHON, {
    args: [PROGRAM, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const passed: string[] = [];
  let text = "";
  const nextLine = async (): Promise<string | null> => {
    while (!text.includes("\n")) {
      const { done, value } = await output.read();
      if (done) return null;
      text += value;
    }
    const [line = ""] = text.split("\n", 1);
    text = text.slice(line.length + 1);
    return line;
  };
  return {
    until: async (type) => {
      for (let line = await nextLine(); line !== null; line = await nextLine()) {
        const value: PeerLine = JSON.parse(line);
        if (value.type === type) return value;
        passed.push(line);
      }
      throw new Error(`Cannot wait for "${type}": peer.py has ended after ${passed.join(" ")}`);
    },
    tell: (command) => input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`)),
    [Symbol.asyncDispose]: async () => {
      // A server ends with its input; a client would go on.
      try {
        child.kill("SIGTERM");
      } catch (error) {
        // It has ended already.
        if (!(error instanceof TypeError)) throw error;
      }
      await output.cancel();
      await child.status;
      clearTimeout(limit);
      // What was written to a process that has ended is of no use any more.
      await input.close().catch(() => {});
    },
  };
}
