/** Whether the runtime's own sockets can be reset here. */

import { libcNeed } from "../../internal/ffi/libc.ts";
import { resetConnection } from "../../internal/ffi/sockets_linux.ts";
import { wouldPrompt } from "../../internal/permissions.ts";

let known: boolean | undefined;

/** Whether they can be: on Linux, where the C library may be used. Node's sockets can everywhere, and are slower. */
export function canReset(): boolean {
  return known ??= probe();
}

function probe(): boolean {
  if (Deno.build.os !== "linux" || wouldPrompt([libcNeed()])) return false;
  try {
    // There is no such connection: all that could be wrong is wrong with the way.
    resetConnection({ hostname: "127.0.0.1", port: 0 }, { hostname: "127.0.0.1", port: 0 });
    return true;
  } catch {
    // No permission, or no such library.
    return false;
  }
}
