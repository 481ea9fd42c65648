/** Sockets that a service manager has opened for this process: systemd's socket activation (sd_listen_fds(3)), inetd. */

import { isNotCapable, PermissionError } from "../../internal/errors.ts";
import { duplicate } from "../../internal/ffi/descriptors.ts";
import { adopt, type Adopted, type AdoptedKind } from "./_adopt.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { tryCalls } from "./_descriptor_calls.ts";
import { descriptorTeller, mayUse, tcpHandleClass } from "./_internals.ts";
import { PushError } from "./push_error.ts";

/** A socket that was there when this process began. */
export interface InheritedSocket {
  /** The name that the service manager has given it (`FileDescriptorName=`), `"unknown"` where it has none. */
  readonly name: string;
  /** The number it had. */
  readonly number: number;
  /** What it is now; whoever uses it owns it. `null` for what is no socket that can be adopted, as a FIFO: it is closed. */
  readonly socket: Adopted | null;
}

/** What {@linkcode listenFds} takes. */
export interface ListenFdsOptions {
  /**
   * What the sockets are, for a runtime that does not tell it.
   *
   * @default {"listener"}
   */
  readonly kind?: AdoptedKind;
}

const OPERATION = "take the sockets of the service manager";
const VARIABLES = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] as const;

/** The first of them (SD_LISTEN_FDS_START). */
const FIRST = 3;
/** More than any service has; a number is also something that a stranger may have written. */
const MOST = 1024;

/**
 * Takes the sockets that systemd, or whoever keeps to its protocol, has opened for this process: listeners, connections
 * (`Accept=yes`) and sockets for datagrams, in the order of the unit's lines.
 *
 * The variables that tell of them are removed, so that a second call gives none, and no child takes them for its own. Nor do
 * children inherit the sockets afterwards. (Before, they would: so call this first.)
 *
 * Permissions: `--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES,LISTEN_PIDFDID`, and no other. With `--allow-ffi` for the C
 * library more is known of them (paths of Unix sockets, SO_LINGER is cleared).
 *
 * @param options What they are, where that cannot be told.
 * @returns The sockets; none where the variables are missing, or meant for another process.
 * @throws {PermissionError} Without the permission for the variables.
 * @throws {PushError} `protocol` where the variables say nonsense.
 *
 * @example
 * ```ts
 * import { listenFds } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * // Started by hand there are none, and a service opens its own.
 * assertEquals(await listenFds(), []);
 * ```
 */
export async function listenFds(options: ListenFdsOptions = {}): Promise<readonly InheritedSocket[]> {
  const { kind = "listener" } = options;
  const told = takeVariables(VARIABLES, OPERATION);
  if (told.LISTEN_PID !== `${Deno.pid}` || told.LISTEN_FDS === undefined) return [];
  const count = Number(told.LISTEN_FDS);
  if (!/^\d+$/.test(told.LISTEN_FDS) || count > MOST) {
    throw new PushError(
      `Cannot ${OPERATION}: LISTEN_FDS must be a number up to ${MOST}, got "${told.LISTEN_FDS}"`,
      {
        code: "protocol",
        operation: OPERATION,
      },
    );
  }
  const names = told.LISTEN_FDNAMES === undefined ? [] : told.LISTEN_FDNAMES.split(":");
  const expect = await canTell() ? undefined : kind;
  const sockets: InheritedSocket[] = [];
  for (let index = 0; index < count; index++) {
    const number = FIRST + index;
    sockets.push({ name: names[index] || "unknown", number, socket: await adoptOrNull(number, expect) });
  }
  return sockets;
}

/**
 * Takes the listeners that an nginx gives to its successor, which on `SIGUSR2` is whatever stands at nginx's own path then.
 * They are not blocking, and nginx goes on with them until it is told to end (`SIGQUIT`). A process that nginx has started
 * does not get the signals that nginx blocks meanwhile, `SIGTERM` among them.
 *
 * Permissions: `--allow-env=NGINX`, and no other. The variable is removed, as those of {@linkcode listenFds} are.
 *
 * @returns The listeners, in nginx's order; none where the variable is missing.
 * @throws {PermissionError} Without the permission for the variable.
 * @throws {PushError} `protocol` where the variable says nonsense.
 *
 * @example
 * ```ts
 * import { nginxListeners } from "@holdfast/net/pipes/push";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await nginxListeners(), []);
 * ```
 */
export async function nginxListeners(): Promise<readonly AdoptedListener[]> {
  const operation = "take the listeners of nginx";
  const { NGINX: text = "" } = takeVariables(["NGINX"], operation);
  // Each number ends with one of these (ngx_set_inherited_sockets of nginx).
  const numbers = text.split(/[;:]/).slice(0, -1);
  if (!/^(?:\d{1,5}[;:])*$/.test(text) || new Set(numbers).size < numbers.length || numbers.length > MOST) {
    throw new PushError(`Cannot ${operation}: NGINX must be numbers that each end with ";", got "${text}"`, {
      code: "protocol",
      operation,
    });
  }
  const listeners: AdoptedListener[] = [];
  for (const number of numbers) listeners.push(await adopt(Number(number), { expect: "listener" }));
  return listeners;
}

/**
 * Takes the socket that a server of the inetd kind has given this process as its standard input: a connection, or a listener
 * (`nowait` and `wait` of inetd.conf(5), `StandardInput=socket` of systemd).
 *
 * Standard input and output stay what they are, the same socket: what is printed goes to the other end, and it hears of the
 * end of a connection by {@linkcode PipeBase.close} all the same. Needs no permission.
 *
 * @returns The socket.
 * @throws {PushError} `kind` where standard input is none; it is left alone.
 *
 * @example
 * ```ts ignore
 * import { inetdSocket } from "@holdfast/net/pipes/push";
 *
 * const socket = await inetdSocket();
 * if (socket.kind === "stream") {
 *   await using pipe = socket.pipe();
 *   for await (const message of pipe.messages) await pipe.send(message);
 * }
 * ```
 */
export async function inetdSocket(): Promise<Adopted> {
  return await adopt(await duplicateOfInput());
}

/** What holds standard input open, as long as this process runs. */
const held: unknown[] = [];

/** A second descriptor of standard input: the first one must stay in its place, or the next file that is opened gets it. */
async function duplicateOfInput(): Promise<number> {
  using calls = tryCalls();
  if (calls) return duplicate(calls, 0);
  const [TCP, tell] = [await tcpHandleClass(), await descriptorTeller()];
  // A handle would close what is a file.
  if (TCP && mayUse("handle") && tell && ["TCP", "PIPE", "UNKNOWN"].includes(tell(0))) {
    const handle = new TCP(0);
    held.push(handle);
    if (handle.open(0) === 0) return handle.fdForIpc();
  }
  throw new PushError("Cannot take standard input: it is no socket, or this runtime does not tell", {
    code: "kind",
    operation: "take standard input",
  });
}

/** Whether a descriptor says what it is. */
async function canTell(): Promise<boolean> {
  using calls = tryCalls();
  return calls !== null || (mayUse("handle") && await descriptorTeller() !== undefined);
}

async function adoptOrNull(fd: number, expect: AdoptedKind | undefined): Promise<Adopted | null> {
  try {
    return await adopt(fd, { expect });
  } catch (error) {
    if (error instanceof PushError && error.code === "kind") return null;
    throw error;
  }
}

/** Reads variables and removes them, whether they are meant for this process or not, as sd_listen_fds(3) does. */
function takeVariables<const N extends string>(
  names: readonly N[],
  operation: string,
): Partial<Record<N, string>> {
  try {
    const entries = names.map((name) => [name, Deno.env.get(name)] as const);
    for (const [name, value] of entries) if (value !== undefined) Deno.env.delete(name);
    return Object.fromEntries(entries) as Partial<Record<N, string>>;
  } catch (error) {
    if (!isNotCapable(error)) throw error;
    throw new PermissionError(operation, [`--allow-env=${names.join(",")}`], error);
  }
}
