/** Where the C library lies on this machine. */

import { HoldfastError, isNotCapable, PermissionError } from "../errors.ts";
import { flagsOf, type Need, permissionState, wouldPrompt } from "../permissions.ts";

/** The C library of macOS: no file any more, but its path still opens it out of the system's shared cache. */
export const LIBSYSTEM = "/usr/lib/libSystem.B.dylib";

/** The names of the dynamic loader's architecture, as Debian and musl spell them. */
const TRIPLE = Deno.build.arch === "aarch64" ? "aarch64" : "x86_64";

const GLIBC = [
  `/lib/${TRIPLE}-linux-gnu/libc.so.6`, // Debian, Ubuntu
  "/lib64/libc.so.6", // Fedora, RHEL, openSUSE, Gentoo
  "/usr/lib/libc.so.6", // Arch
  "/usr/lib64/libc.so.6",
];

const MUSL = [`/lib/ld-musl-${TRIPLE}.so.1`]; // Alpine: loader and library are one file

/**
 * The places where Linux distributions keep the C library, likeliest first.
 *
 * A path-scoped `--allow-ffi` compares the text of the path, and a bare name is looked for in the current directory
 * (denoland/deno issue 29246), so only absolute paths are ever opened.
 */
export function libcCandidates(): readonly string[] {
  if (Deno.build.os !== "linux") return [];
  return (Deno.build as { env?: string }).env === "musl" ? [...MUSL, ...GLIBC] : [...GLIBC, ...MUSL];
}

/** What the runtime must allow so that the C library can be opened, as far as that can be told without opening it. */
export function libcNeed(): Need {
  const candidates = libcCandidates();
  const existing = candidates.find((path) => {
    if (permissionState({ name: "read", path }) !== "granted") return false;
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false; // not there, which is what was asked
    }
  });
  return { name: "ffi", path: existing ?? candidates[0] ?? "libc" };
}

/**
 * Opens the C library.
 *
 * @param symbols The functions wanted.
 * @returns The open library; the caller closes it.
 * @throws {PermissionError} Without `--allow-ffi` for the library's path.
 * @throws {HoldfastError} `unsupported` where there is no C library to be found or it lacks a function.
 */
export function openLibc<const S extends Deno.ForeignLibraryInterface>(symbols: S): Deno.DynamicLibrary<S> {
  const operation = "open the C library";
  // Granted ones first: an attempt at another could make the runtime ask a person.
  const order = libcCandidates().toSorted((a, b) => rank(a) - rank(b));
  let refused: unknown;
  let failure: unknown;
  for (const path of order) {
    const asking = wouldPrompt([{ name: "ffi", path }]);
    try {
      return Deno.dlopen(path, symbols);
    } catch (error) {
      if (isNotCapable(error)) {
        refused ??= error;
        // A person who has said no is not asked about the next place.
        if (asking) break;
      } else failure ??= error;
      // Once one place is granted and yet fails to open, the ungranted ones can only be refused.
    }
  }
  if (refused !== undefined && (failure === undefined || order.every((path) => rank(path) > 0))) {
    throw new PermissionError(operation, flagsOf([libcNeed()]), refused);
  }
  throw new HoldfastError(`Cannot ${operation}: not found in ${order.join(", ") || "any known place"}`, {
    code: "unsupported",
    operation,
    cause: failure ?? refused,
    hint: 'Name another backend, for example "ip-monitor" or "poll"',
  });
}

function rank(path: string): number {
  return permissionState({ name: "ffi", path }) === "granted" ? 0 : 1;
}
