/** The options of `holdfast tunnel`: which belong to which action, and what they say. */

import { HoldfastError } from "../internal/errors.ts";
import { readKeyFile, readPublicKeysFile } from "../pipes/resume/key_file.ts";
import { type KeyPair, parseKey, type PublicKey, type SharedKey } from "../pipes/resume/key_text.ts";
import { parseTarget } from "../pipes/tunnel/target.ts";
import { UsageError } from "./usage_error.ts";
import type { Values } from "./values.ts";

/** The variable that has a key where no file has it. */
export const KEY_VARIABLE = "HOLDFAST_TUNNEL_KEY";

/** What each action takes. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  key: ["pair", "comment"],
  serve: [
    ...["listen", "to", "key-file", "authorized", "plain", "tls-cert", "tls-key", "expiry"],
    ...["max-connections", "max-per-client", "timeout", "allow-listen", "allow-private", "control", "idle"],
  ],
  connect: [
    ...["listen", "server", "to", "key-file", "server-key", "plain", "ca", "stdio", "expiry"],
    ...["reverse", "socks", "proxy", "control"],
    ...["max-connections", "timeout"],
  ],
  status: ["control", "watch", "reconnect", "drain"],
  ssh: ["to", "remote", "ssh-option", "expiry", "timeout"],
};

/** How many arguments each action needs, and may have at most. */
const ARGUMENTS: Readonly<Record<string, readonly [least: number, most: number, name: string]>> = {
  key: [1, 1, "FILE"],
  serve: [0, 0, ""],
  connect: [0, 0, ""],
  status: [0, 0, ""],
  ssh: [1, Infinity, "USER@HOST"],
};

/** A mistake on the command line. */
export function wrong(action: string, why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast tunnel ${action}": ${why}`, hint);
}

/**
 * Refuses what is not for an action.
 *
 * @param action Which one.
 * @param args What is typed behind it.
 * @param values The options.
 * @throws {UsageError} For what does not belong there, or is missing.
 */
export function checkTunnelOptions(action: string, args: readonly string[], values: Values): void {
  const help = 'Run "holdfast help tunnel"';
  const takes = [...TAKES[action] ?? [], "json", "help"];
  for (const name of values.names) {
    // One that has a value anyway says nothing.
    if (takes.includes(name) || name === "timeout") continue;
    const users = Object.keys(TAKES).filter((one) => TAKES[one]?.includes(name));
    throw wrong(action, `"--${name}" is not for it`, `It is for: ${users.join(", ")}`);
  }
  const [least, most, name] = ARGUMENTS[action] ?? [0, 0, ""];
  if (args.length < least) throw wrong(action, `the argument ${name} is missing`, help);
  if (args.length > most) throw wrong(action, `extra argument "${args[most]}"`, help);
}

/** The key of this end; `undefined` where it is plain by name. */
export async function keyOf(action: string, values: Values): Promise<SharedKey | KeyPair | undefined> {
  const file = values.text("key-file");
  if (values.flag("plain")) {
    if (file !== undefined) {
      throw wrong(action, '"--plain" has no key', 'Leave out "--plain" or "--key-file"');
    }
    return undefined;
  }
  if (file !== undefined) return await readKeyFile(file);
  const text = variable(KEY_VARIABLE);
  if (text === undefined) {
    throw wrong(
      action,
      "it needs a key",
      'Run "holdfast tunnel key tunnel.key", copy the file to the other end, and write "--key-file tunnel.key" at both',
    );
  }
  try {
    return parseKey(text);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace("Cannot read a key: ", "") : "it is no key";
    throw new HoldfastError(`Cannot read the key in ${KEY_VARIABLE}: ${why}`, {
      code: "key-file",
      operation: "read a key",
      cause: error,
    });
  }
}

/** The public keys of the server. */
export async function serverKeysOf(
  values: Values,
  key: SharedKey | KeyPair | undefined,
): Promise<readonly PublicKey[] | undefined> {
  const file = values.text("server-key");
  if (file !== undefined) {
    if (!key) throw wrong("connect", '"--server-key" needs a key of our own', 'Write "--key-file FILE"');
    return await readPublicKeysFile(file);
  }
  if (key?.type !== "pair") return undefined;
  throw wrong(
    "connect",
    "the key is a pair, and who the server is must be known",
    'Write "--server-key FILE.pub" with its public key',
  );
}

/**
 * The URL that an address of the other end stands for.
 *
 * @param action For which action.
 * @param text `HOST:PORT`, or a URL.
 * @param use What for.
 * @param tls Whether it is TLS where nothing says so.
 */
export function carrierUrl(action: string, text: string, use: "connect" | "listen", tls: boolean): string {
  const scheme = /^([a-z+]+):(?!\d+$)/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === "udp") throw noUdp(action, text);
  if (scheme !== undefined && text.startsWith(`${scheme}:`) && CARRIERS.includes(scheme)) return text;
  const address = parsed(action, text, use);
  return `${tls ? "tls" : "tcp"}://${address}`;
}

/** What can carry a tunnel. */
const CARRIERS: readonly string[] = ["tcp", "tls", "ws", "wss", "unix"];

/**
 * An address that programs come to, or are led to.
 *
 * @param action For which action.
 * @param text `HOST:PORT`; a port alone is one of this machine, to listen on.
 * @param use What for.
 */
export function innerAddress(action: string, text: string, use: "connect" | "listen"): string {
  if (/^udp:/i.test(text)) throw noUdp(action, text);
  if (use === "listen" && /^\d+$/.test(text)) return parsed(action, `127.0.0.1:${text}`, use);
  return parsed(action, text, use);
}

function parsed(action: string, text: string, use: "connect" | "listen"): string {
  try {
    parseTarget(text, use);
    return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw wrong(
      action,
      error.message.replace("Cannot read ", ""),
      "Write HOST:PORT, for example 127.0.0.1:22",
    );
  }
}

function noUdp(action: string, text: string): UsageError {
  return wrong(
    action,
    `"${text}": a tunnel carries streams, no UDP`,
    "What uses UDP mostly lives through a change of address by itself (QUIC, mosh); for the rest use WireGuard",
  );
}

/** Reads a file in PEM. */
export async function readPem(action: string, option: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory)) throw error;
    throw wrong(action, `there is no file "${path}"`, `Write "--${option}" and a PEM file`);
  }
}

function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    // Not allowed: then it is not there.
    return undefined;
  }
}
