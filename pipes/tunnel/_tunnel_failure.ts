/** What went wrong in a tunnel, by name and in words. */

import { HoldfastError } from "../../internal/errors.ts";
import { REJECT } from "../resume/_handshake_frames.ts";
import { SessionHandshakeError } from "../resume/handshake_error.ts";
import { SessionLost } from "../resume/session_lost.ts";
import { FULL, NO_GREETING, NO_LISTENER, NOT_ALLOWED, REVOKED, UNREACHABLE } from "./_codes.ts";
import type { TunnelFailure } from "./tunnel.ts";
import { TunnelError, type TunnelErrorCode } from "./tunnel_error.ts";

const BY_ABORT: Readonly<Record<number, TunnelErrorCode>> = {
  [NOT_ALLOWED]: "not-allowed",
  [UNREACHABLE]: "unreachable",
  [FULL]: "full",
  [REVOKED]: "revoked",
  [NO_GREETING]: "version",
  [NO_LISTENER]: "listen",
};

/** Names a failure. */
export function failureOf(error: unknown, where: TunnelFailure["where"]): TunnelFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof SessionLost) {
    const byTunnel = error.abortCode === null ? undefined : BY_ABORT[error.abortCode];
    return { where: "tunnel", code: byTunnel ?? error.reason, message };
  }
  return { where, code: error instanceof HoldfastError ? error.code : "failed", message };
}

/** What a client has asked for. */
export interface Asked {
  /** In words, as in "Cannot open the tunnel". */
  readonly operation: string;
  /** What the server's owner has to allow; nothing where it is only to be let in. */
  readonly rule: "to" | "allow-listen" | null;
}

/**
 * What keeps a client out, in the words of tunnels.
 *
 * @param server The server, as the user wrote it.
 * @param asked What was asked for.
 * @param error What was thrown.
 */
export function refusalOf(server: string, { operation, rule }: Asked, error: unknown): unknown {
  const make = (code: TunnelErrorCode, why: string, hint: string): TunnelError =>
    new TunnelError(`Cannot ${operation} by ${server}: ${why}`, { code, operation, hint, cause: error });
  if (error instanceof SessionLost) {
    const code = error.abortCode === null ? undefined : BY_ABORT[error.abortCode];
    return code ? make(code, error.message.replace(/^.*the other end gave it up: /, ""), SEE_SERVER) : error;
  }
  const { reason, rejection } = handshakeErrorOf(error) ?? {};
  if (reason === "rejected" && rejection === REJECT.notAllowed) {
    return rule === null
      ? make("not-allowed", "it does not let this key in", "Give the server's owner the public key")
      : make("not-allowed", "it is not allowed", `The server needs "--${rule}" for it, or its list of keys`);
  }
  const [code, why, hint] = (reason && BY_REASON[reason]) ?? [];
  return code && why && hint ? make(code, why, hint) : error;
}

const SEE_SERVER = "See what the server says";

const BY_REASON: Readonly<Record<string, readonly [TunnelErrorCode, string, string]>> = {
  seal: ["key", "it has another key", "See that both ends have the same key file"],
  identity: ["key", "it is not the server whose key is known", "Compare the fingerprints at both ends"],
  mode: ["mode", "one end has a key, and the other runs --plain", "Give both a key"],
  foreign: ["foreign", "what answers there is no holdfast server", "See what listens there"],
  version: ["version", "it speaks another version", "Update the older end"],
};

function handshakeErrorOf(error: unknown, depth = 0): SessionHandshakeError | undefined {
  if (error instanceof SessionHandshakeError) return error;
  if (!(error instanceof Error) || depth > 6) return undefined;
  const below: readonly unknown[] = error instanceof AggregateError ? error.errors : [error.cause];
  for (const one of below) {
    const found = handshakeErrorOf(one, depth + 1);
    if (found) return found;
  }
  return undefined;
}
