/** The C library, where the runtime allows it without asking a person. */

import { PermissionError } from "../../internal/errors.ts";
import { libcNeed } from "../../internal/ffi/libc.ts";
import { acquireSockets, type SocketCalls } from "../../internal/ffi/socket_calls.ts";
import { flagsOf, wouldPrompt } from "../../internal/permissions.ts";

/**
 * Takes a hold on the C library.
 *
 * @returns The hold, or `null` where the runtime does not allow it, would have to ask a person, or this system has none.
 */
export function tryCalls(): SocketCalls | null {
  if (Deno.build.os !== "linux" || wouldAsk()) return null;
  try {
    return acquireSockets();
  } catch {
    // Whatever the reason: what can be done without is done without.
    return null;
  }
}

/**
 * Takes a hold on the C library, which cannot be done without.
 *
 * @param operation What it is for.
 * @throws {PermissionError} Without `--allow-ffi` for the library's path, or where a person would have to be asked.
 */
export function needCalls(operation: string): SocketCalls {
  if (Deno.build.os === "linux" && wouldAsk()) {
    throw new PermissionError(operation, flagsOf([libcNeed()]));
  }
  return acquireSockets();
}

/** Asked for every socket, so what takes long is left for those who sit at a terminal. */
function wouldAsk(): boolean {
  return Deno.stdin.isTerminal() && wouldPrompt([libcNeed()]);
}
