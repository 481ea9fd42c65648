/** How the readiness gate reaches the outside; each may be replaced by a test. */

import { isNotCapable, PermissionError } from "../internal/errors.ts";
import { flagsOf, type Need, permissionState, withPermission, wouldPrompt } from "../internal/permissions.ts";
import { connectTcp } from "./_connect_tcp.ts";
import { bracketed, sendDatagram } from "./_datagram.ts";
import { needRuntime } from "./_need_runtime.ts";

/** The discard service (RFC 863): hardly anybody offers it, and nobody minds. */
const DISCARD = 9;

/** Where a connection goes. */
export interface ReadyTarget {
  /** A name or an IP address, an IPv6 address without brackets. */
  readonly hostname: string;
  /** The TCP port, 1 to 65535. */
  readonly port: number;
}

/** What {@linkcode ReadyTools} take besides. */
export interface ReadyToolOptions {
  /** The only family to use; any, if `undefined`. */
  readonly family: 4 | 6 | undefined;
  /** Calls it off. */
  readonly signal: AbortSignal;
}

/** How the readiness gate reaches the outside. */
export interface ReadyTools {
  /**
   * Makes the system look for a gateway's hardware address, by sending it a datagram.
   *
   * @param gateway An IP address, a link-local one with its zone.
   * @returns Resolves when it is sent; nothing is waited for.
   * @throws {PermissionError} When the runtime forbids it.
   */
  provoke(gateway: string): Promise<void>;
  /**
   * Knocks at a gateway's TCP port, which makes the system look for its hardware address as well.
   *
   * @param gateway An IP address, a link-local one with its zone.
   * @param signal Calls it off.
   * @returns Whether the gateway answered, with a refusal for instance, or the system found no way to it.
   * @throws {PermissionError} When the runtime forbids it.
   */
  knock(gateway: string, signal: AbortSignal): Promise<"answered" | "unreachable">;
  /**
   * Looks a name up, as a connection would.
   *
   * @param name The name.
   * @param options The family, and what calls it off.
   * @returns Its addresses, at least one.
   * @throws {PermissionError} When the runtime forbids it.
   */
  resolve(name: string, options: ReadyToolOptions): Promise<readonly string[]>;
  /**
   * Asks a name server for something, no matter what.
   *
   * @param server Its IP address.
   * @param signal Calls it off.
   * @returns Resolves when it answers, whatever it says.
   * @throws {PermissionError} When the runtime forbids it.
   */
  ask(server: string, signal: AbortSignal): Promise<void>;
  /**
   * Connects by TCP and hangs up.
   *
   * @param target Where to.
   * @param options The family, and what calls it off.
   * @returns The address that answered, as `HOST:PORT`.
   * @throws {PermissionError} When the runtime forbids it.
   */
  connect(target: ReadyTarget, options: ReadyToolOptions): Promise<string>;
  /**
   * Fetches, as the function of that name does.
   *
   * @param url What.
   * @param init How.
   * @returns The response.
   */
  fetch(url: URL, init: RequestInit): Promise<Response>;
}

/** The tools of the system. */
export const systemTools: ReadyTools = {
  provoke: async (gateway) => {
    needRuntime("send a datagram");
    await sendDatagram(gateway, DISCARD);
  },
  knock,
  resolve,
  ask,
  connect,
  fetch: (url, init) => fetch(url, init),
};

const TYPES = { A: 4, AAAA: 6 } as const;

function net(host: string): Need {
  return { name: "net", host };
}

/** What the toolkit chooses by itself makes the runtime ask nobody. */
function unprompted<T>(operation: string, needs: readonly Need[], action: () => T): T {
  needRuntime(operation);
  if (wouldPrompt(needs)) throw new PermissionError(operation, flagsOf(needs));
  return withPermission(operation, needs, action);
}

async function knock(gateway: string, signal: AbortSignal): Promise<"answered" | "unreachable"> {
  try {
    const needs = [net(bracketed(gateway, DISCARD))];
    const open = (): Promise<Deno.TcpConn> => connectTcp(gateway, DISCARD, signal);
    using _ = await unprompted(`connect to ${gateway}`, needs, open);
    return "answered";
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PermissionError) throw error;
    const { ConnectionRefused, ConnectionReset } = Deno.errors;
    // Who refuses is there.
    return error instanceof ConnectionRefused || error instanceof ConnectionReset
      ? "answered"
      : "unreachable";
  }
}

/**
 * The system's look-up knows the file of hosts and all else that a connection uses, but nothing calls it off, and it
 * waits for seconds for a datagram that was lost. So the runtime's own asks beside it: the first answer counts.
 */
async function resolve(name: string, { family, signal }: ReadyToolOptions): Promise<readonly string[]> {
  const needs = [net(name)];
  const operation = `look up ${name}`;
  needRuntime(operation);
  if (wouldPrompt(needs)) throw new PermissionError(operation, flagsOf(needs));
  const types = (["A", "AAAA"] as const).filter((type) => family === undefined || family === TYPES[type]);
  // The runtime's own asks the name servers itself, and wants to be allowed each of them.
  const allowed = !wouldPrompt([{ name: "net" }]);
  const asked = types.filter(() => allowed).map(async (type) => {
    const found = await Deno.resolveDns(name, type, { signal });
    if (found.length === 0) throw new Deno.errors.NotFound(`${name} has no ${type} record`);
    return found;
  });
  try {
    return await Promise.any([lookUp(name, family), ...asked]);
  } catch (error) {
    signal.throwIfAborted();
    const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    const forbidden = errors.every((one) =>
      isNotCapable(one) || (one as { readonly code?: unknown }).code === "EPERM"
    );
    if (forbidden) throw new PermissionError(operation, flagsOf(needs), error);
    throw errors[0];
  }
}

/** Look-ups under way, for each blocks a thread of the system's for as long as it likes. */
const lookUps = new Map<string, Promise<readonly string[]>>();

/** Resolves when none is under way any more; nothing calls one off. */
export async function lookUpsDone(): Promise<void> {
  await Promise.allSettled(lookUps.values());
}

function lookUp(name: string, family: 4 | 6 | undefined): Promise<readonly string[]> {
  const key = `${name} ${family}`;
  const running = lookUps.get(key) ?? startLookUp(name, family).finally(() => lookUps.delete(key));
  lookUps.set(key, running);
  return running;
}

async function startLookUp(name: string, family: 4 | 6 | undefined): Promise<readonly string[]> {
  const { lookup } = await import("node:dns/promises");
  const found = await lookup(name, { all: true, ...(family === undefined ? {} : { family }) });
  return found.map(({ address }) => address);
}

async function ask(server: string, signal: AbortSignal): Promise<void> {
  try {
    await unprompted(
      `ask the name server ${server}`,
      [net(bracketed(server, 53))],
      () => Deno.resolveDns(".", "NS", { nameServer: { ipAddr: server, port: 53 }, signal }),
    );
  } catch (error) {
    // "There is no such thing" is an answer.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function connect(target: ReadyTarget, { family, signal }: ReadyToolOptions): Promise<string> {
  const host = bracketed(target.hostname, target.port);
  needRuntime(`connect to ${host}`);
  return family === undefined
    ? await connectAny(target, host, signal)
    : await connectByFamily(target, host, family, signal);
}

async function connectAny(target: ReadyTarget, host: string, signal: AbortSignal): Promise<string> {
  const open = (): Promise<Deno.TcpConn> => connectTcp(target.hostname, target.port, signal);
  using connection = await withPermission(`connect to ${host}`, [net(host)], open);
  const { remoteAddr } = connection;
  return bracketed(remoteAddr.hostname, remoteAddr.port);
}

/** `Deno.connect()` cannot be told a family, and looking the name up first would need a permission for each address. */
async function connectByFamily(
  { hostname, port }: ReadyTarget,
  host: string,
  family: 4 | 6,
  signal: AbortSignal,
): Promise<string> {
  const { connect } = await import("node:net");
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port, family, signal, autoSelectFamily: false });
    socket.once("connect", () => {
      const { remoteAddress = hostname, remotePort = port } = socket;
      socket.destroy();
      resolve(bracketed(remoteAddress, remotePort));
    });
    socket.once("error", (error: Error & { readonly code?: string }) => {
      socket.destroy();
      const need = net(host);
      // What the runtime forbids comes with the system's number.
      const refused = error.code === "EPERM" && permissionState(need) !== "granted";
      reject(
        refused || isNotCapable(error)
          ? new PermissionError(`connect to ${host}`, flagsOf([need]), error)
          : error,
      );
    });
  });
}
