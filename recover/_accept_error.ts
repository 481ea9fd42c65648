/** Which errors of a listener pass. */

/** The system has no room: for descriptors (of the process, of the machine), for buffers, for anything (accept(2)). */
const EXHAUSTED: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/** One connection went wrong before it was accepted; the listener is well (accept(2), "Error handling"). */
const ABORTED: ReadonlySet<string> = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EPROTO",
  "EINTR",
  "EAGAIN",
  "ENETDOWN",
  "ENOPROTOOPT",
  "EHOSTDOWN",
  "ENONET",
  "EHOSTUNREACH",
  "EOPNOTSUPP",
  "ENETUNREACH",
  // The runtime asks for the address of the other end, which is gone when it was reset in between.
  "ENOTCONN",
]);

/** The address is taken, or gone; it may be free, or back, later. */
const BUSY: ReadonlySet<string> = new Set(["EADDRINUSE", "EADDRNOTAVAIL"]);

/** Whether a failed accept says that the system has no room. */
export function isExhausted(error: unknown): boolean {
  return EXHAUSTED.has(codeOf(error));
}

/** Whether a failed accept says something about one connection only. */
export function isAborted(error: unknown): boolean {
  return ABORTED.has(codeOf(error));
}

/** Whether listening may work later, although it did not now. */
export function canListenLater(error: unknown): boolean {
  return isExhausted(error) || BUSY.has(codeOf(error));
}

function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : "";
}
