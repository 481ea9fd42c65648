/** Where the libraries of Windows lie; apart from their functions, so that naming them costs nothing. */

import { type Need, permissionState } from "../permissions.ts";

/** The libraries that are opened. */
export const WINDOWS_LIBRARIES = ["iphlpapi", "kernel32", "advapi32"] as const;

/** The name of a library, without its ending. */
export type WindowsLibrary = (typeof WINDOWS_LIBRARIES)[number];

/** Where Windows keeps its libraries unless it was told otherwise when it was installed. */
const SYSTEM32 = "C:\\Windows\\System32";

/**
 * The places where a library may lie, likeliest first.
 *
 * Only absolute paths are ever opened: a bare name would be looked for in the current directory as well. Windows is on
 * `C:` nearly everywhere, and asking `SystemRoot` for it takes a permission that nobody should have to give; where it
 * is granted all the same, what it says is tried next.
 *
 * @param library Its name.
 */
export function windowsCandidates(library: WindowsLibrary): readonly string[] {
  const folders = [SYSTEM32];
  if (permissionState({ name: "env", variable: "SystemRoot" }) === "granted") {
    const root = Deno.env.get("SystemRoot");
    if (root !== undefined && /^[A-Za-z]:\\/.test(root)) folders.push(`${root}\\System32`);
  }
  return folders.map((folder) => `${folder}\\${library}.dll`);
}

/** What the runtime must allow so that all libraries can be opened. */
export function windowsNeeds(): readonly Need[] {
  return WINDOWS_LIBRARIES.map((library) => ({ name: "ffi", path: `${SYSTEM32}\\${library}.dll` }));
}
