/** Sockets of this process that a program gets when it is started: it finds them under the numbers from 3 on. */

import { isNotCapable, PermissionError } from "../../internal/errors.ts";
import {
  type DescriptorsProcess,
  execWithDescriptors,
  type StandardStream,
} from "../../internal/exec_descriptors.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { MOST_PASSED, Passing } from "./_passing.ts";
import type { BareSocket } from "./_pushable.ts";

export type { BareSocket, DescriptorsProcess, StandardStream };

/**
 * How a program is told of its sockets: by systemd's protocol (`LISTEN_FDS`, with the names); by that of nginx, which is to
 * another nginx; as its standard input and output, as inetd does it with one connection; or not at all, as when an argument
 * says that it is number 3.
 */
export type SocketsToldBy = "listen-fds" | "nginx" | "inetd" | "nothing";

/** What {@linkcode startWithSockets} takes. */
export interface StartWithSocketsOptions {
  /**
   * The program's arguments, each as it is: there is no shell that would read them.
   *
   * @default {[]}
   */
  readonly args?: readonly string[];
  /** The sockets, in the order of their numbers; each once. */
  readonly sockets: readonly (BareSocket | AdoptedListener)[];
  /**
   * How the program is told of them.
   *
   * @default {"listen-fds"}
   */
  readonly toldBy?: SocketsToldBy;
  /**
   * Their names by systemd's protocol.
   *
   * @default {[]} Each is `"unknown"`.
   */
  readonly names?: readonly string[];
  /**
   * Whether this process goes on with its sockets, beside the program. Otherwise it lets go of them, without a word to the other
   * ends, when the program has been started, and the program gets them in blocking mode, as systemd hands them out.
   *
   * A socket that is kept is not blocking for either of them, since that belongs to the socket and not to who has it. A program
   * that makes it blocking makes it so for this process, which stands still then.
   *
   * @default {false}
   */
  readonly keep?: boolean;
  /**
   * The program's whole environment, but for what tells of the sockets.
   *
   * @default {undefined} That of this process, for which `--allow-env` is needed.
   */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * The program's standard input, output and error.
   *
   * @default {["null", "inherit", "inherit"]}
   */
  readonly stdio?: readonly [StandardStream, StandardStream, StandardStream];
}

const OPERATION = "start a program with sockets";

/** What tells of sockets, and is not to be handed down. */
const TELLING = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NGINX"];

/** Nothing of a caller's stands in a script; the number of a process is known only within. */
const LISTEN_FDS_SCRIPT = 'export LISTEN_PID=$$; exec "$@"';
const INETD_SCRIPT = 'exec "$@" <&3 >&3 3<&-';

/**
 * Starts a program that has sockets of this process: listeners, connections, sockets for datagrams.
 *
 * Permissions: `--allow-run` for the program (for `"listen-fds"` and `"inetd"` for `/bin/sh`, which becomes the program), and
 * `--allow-env=NODE_V8_COVERAGE`, which Node's part of the runtime reads. No `--allow-ffi` for sockets of Node's part, and for
 * the runtime's own connections of TCP; others of the runtime are found by the C library alone.
 *
 * @param command The program's name, or its path.
 * @param options The sockets, and how the program is told of them.
 * @returns The running program. Disposing it ends it.
 * @throws {PermissionError} Where a permission is missing.
 * @throws {ToolMissingError} When there is no such program.
 * @throws {PushError} When a socket cannot be handed over. Then, and when the program cannot be started, all sockets are as
 * before, except that an adopted listener is closed.
 *
 * @example
 * ```ts
 * import { startWithSockets } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const program = await startWithSockets("sh", {
 *   args: ["-c", 'test "$LISTEN_FDS:$LISTEN_FDNAMES" = 1:web && test "$LISTEN_PID" = "$$"'],
 *   sockets: [listener],
 *   names: ["web"],
 * });
 * assertEquals(await program.ended, { code: 0, signal: null });
 * ```
 */
export async function startWithSockets(
  command: string,
  options: StartWithSocketsOptions,
): Promise<DescriptorsProcess> {
  const { args = [], toldBy = "listen-fds", keep = false, stdio } = options;
  check(options, toldBy);
  const env = { ...(options.env ?? ownEnvironment()), ...tellingOf(toldBy, options) };
  const started = commandOf(toldBy, command, args);
  await using passing = await Passing.of(options.sockets, keep);
  return await execWithDescriptors(started.command, {
    args: started.args,
    operation: OPERATION,
    hint: `Install it, or give its path instead of "${command}"`,
    env,
    descriptors: passing.descriptors,
    onPassed: (done) => passing.passed(done, !keep && toldBy !== "nginx"),
    ...(stdio ? { stdio } : {}),
  });
}

function check({ sockets, names = [] }: StartWithSocketsOptions, toldBy: SocketsToldBy): void {
  if (sockets.length < 1 || sockets.length > MOST_PASSED || new Set(sockets).size < sockets.length) {
    throw new RangeError(
      `Cannot ${OPERATION}: 1 to ${MOST_PASSED} of them are needed, each once, got ${sockets.length}`,
    );
  }
  if (toldBy === "inetd" && sockets.length !== 1) {
    throw new RangeError(`Cannot ${OPERATION}: as standard input there is one, got ${sockets.length}`);
  }
  // FileDescriptorName= of systemd.socket(5)
  const wrong = names.find((name) => !/^[\x21-\x39\x3b-\x7e]{1,255}$/.test(name));
  if (wrong !== undefined || names.length > sockets.length) {
    throw new TypeError(
      wrong === undefined
        ? `Cannot ${OPERATION}: there are ${sockets.length}, got ${names.length} names`
        : `Cannot ${OPERATION}: a name has up to 255 visible characters of ASCII and no colon, got "${wrong}"`,
    );
  }
}

function tellingOf(
  toldBy: SocketsToldBy,
  { sockets, names = [] }: StartWithSocketsOptions,
): Record<string, string> {
  if (toldBy === "nginx") {
    return { NGINX: sockets.map((_, index) => `${3 + index};`).join("") };
  }
  if (toldBy !== "listen-fds") return {};
  const all = sockets.map((_, index) => names[index] ?? "unknown");
  return { LISTEN_FDS: `${all.length}`, LISTEN_FDNAMES: all.join(":") };
}

function commandOf(
  toldBy: SocketsToldBy,
  command: string,
  args: readonly string[],
): { readonly command: string; readonly args: readonly string[] } {
  if (toldBy === "nginx" || toldBy === "nothing") return { command, args };
  const script = toldBy === "inetd" ? INETD_SCRIPT : LISTEN_FDS_SCRIPT;
  return { command: "/bin/sh", args: ["-c", script, "sh", command, ...args] };
}

function ownEnvironment(): Record<string, string> {
  try {
    const all = Object.entries(Deno.env.toObject());
    return Object.fromEntries(all.filter(([name]) => !TELLING.includes(name)));
  } catch (error) {
    if (!isNotCapable(error)) throw error;
    throw new PermissionError(OPERATION, ["--allow-env"], error, "Allow it, or give the option env");
  }
}
