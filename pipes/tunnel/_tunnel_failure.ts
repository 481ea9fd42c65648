/** What went wrong in a tunnel, by name and in words. */

import { HoldfastError, PermissionError } from "../../internal/errors.ts";
import { SessionHandshakeError } from "../resume/handshake_error.ts";
import { SessionLost } from "../resume/session_lost.ts";
import { FULL, NO_GREETING, NOT_ALLOWED, REVOKED, UNREACHABLE } from "./_codes.ts";
import type { TunnelFailure } from "./tunnel.ts";
import { TunnelError, type TunnelErrorCode } from "./tunnel_error.ts";

const BY_ABORT: Readonly<Record<number, TunnelErrorCode>> = {
  [NOT_ALLOWED]: "not-allowed",
  [UNREACHABLE]: "unreachable",
  [FULL]: "full",
  [REVOKED]: "revoked",
  [NO_GREETING]: "version",
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

/**
 * What keeps a client out, in the words of tunnels.
 *
 * @param server The server, as the user wrote it.
 * @param asked What was asked for, in words; nothing where it was only to be let in.
 * @param error What was thrown.
 */
export function refusalOf(server: string, asked: string | null, error: unknown): unknown {
  const operation = asked === null ? "open the tunnel" : `open the tunnel to ${asked}`;
  const make = (code: TunnelErrorCode, why: string, hint: string): TunnelError =>
    new TunnelError(`Cannot ${operation} by ${server}: ${why}`, { code, operation, hint, cause: error });
  if (error instanceof PermissionError) return error;
  if (error instanceof SessionLost) {
    const code = error.abortCode === null ? undefined : BY_ABORT[error.abortCode];
    const why = error.message.replace(/^.*the other end gave it up: /, "");
    return code ? make(code, why, "See what the server says") : error;
  }
  const handshake = handshakeErrorOf(error);
  if (!handshake) return error;
  const { reason, rejection } = handshake;
  if (rejection === 6) {
    return asked === null
      ? make("not-allowed", "it does not let this key in", "Give the server's owner the public key")
      : make(
        "not-allowed",
        "it does not allow this target",
        'The server needs "--to" with it, or its list of keys',
      );
  }
  if (reason === "seal") {
    return make("key", "it has another key", "See that both ends have the same key file");
  }
  if (reason === "identity") {
    return make("key", "it is not the server whose key is known", "Compare the fingerprints at both ends");
  }
  if (reason === "mode") {
    return make("mode", "one end has a key, and the other runs --plain", "Give both a key");
  }
  if (reason === "foreign") {
    return make("foreign", "what answers there is no holdfast server", "See what listens there");
  }
  if (reason === "version") {
    return make("version", "it speaks another version", "Update the older end");
  }
  return error;
}

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
