/** Files that only their owner may read, or only he may change. */

import { HoldfastError, isNotCapable, PermissionError } from "./errors.ts";

/** How a file is called in errors. */
export interface GuardedFileNames {
  /** What it is, for example `the key file`. */
  readonly what: string;
  /** The code of the errors. */
  readonly code: string;
}

/** How a file is written. */
export interface CreateGuardedFileOptions extends GuardedFileNames {
  /** Who may do what to it, for example `0o600`. */
  readonly mode: number;
}

/** How a file is read. */
export interface ReadGuardedFileOptions<T> extends GuardedFileNames {
  /** `secret`: nobody but its owner has any right to it; `unchanged`: nobody else may change it. */
  readonly guard: "secret" | "unchanged";
  /** Reads its text; a `SyntaxError` becomes one that names the file. */
  readonly parse: (text: string) => T;
}

/**
 * Writes a new file. One that is there already is never overwritten.
 *
 * @param path Where to.
 * @param text What it holds.
 * @param options Who may do what to it.
 * @throws {HoldfastError} Where it cannot be written.
 * @throws {PermissionError} Where the runtime does not allow it.
 */
export async function createGuardedFile(
  path: string,
  text: string,
  options: CreateGuardedFileOptions,
): Promise<void> {
  const context = { operation: `write ${options.what} ${JSON.stringify(path)}`, code: options.code };
  try {
    await Deno.writeFile(path, new TextEncoder().encode(text), { createNew: true, mode: options.mode });
  } catch (error) {
    throw asFailure(context, error, `--allow-write=${path}`, "folder");
  }
}

/**
 * Reads a file, if nobody has more rights to it than he should. Windows has no such rights.
 *
 * @param path Which one.
 * @param options What it is guarded against, and how it is read.
 * @throws {HoldfastError} Where it cannot be read, others have rights to it, or it does not hold what it should.
 * @throws {PermissionError} Where the runtime does not allow it.
 */
export async function readGuardedFile<T>(path: string, options: ReadGuardedFileOptions<T>): Promise<T> {
  const context = { operation: `read ${options.what} ${JSON.stringify(path)}`, code: options.code };
  const guard = GUARDS[options.guard];
  try {
    using file = await Deno.open(path);
    const { mode, isFile } = await file.stat();
    if (!isFile) throw failed(context, "it is not a file");
    // The rights of the file that is open, not of what has its name by now.
    if (mode !== null && (mode & guard.forbidden) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(3, "0");
      const why = `others can ${guard.others} it (its mode is ${rights}), run: chmod ${guard.chmod} ${path}`;
      throw failed(context, why, { hint: `Run: chmod ${guard.chmod} ${path}` });
    }
    return parsed(context, await text(context, file), options.parse);
  } catch (error) {
    throw asFailure(context, error, `--allow-read=${path}`, "file");
  }
}

/** More than this is no such file: 10,000 keys with comments. */
const MAX_BYTES = 1024 * 1024;

/** Rights that nobody but the owner may have, what these allow, and what to do about it. */
const GUARDS = {
  secret: { forbidden: 0o077, others: "read or change", chmod: "600" },
  unchanged: { forbidden: 0o022, others: "change", chmod: "644" },
} as const;

interface Context {
  readonly operation: string;
  readonly code: string;
}

async function text(context: Context, file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  for (let n = await file.read(bytes); n !== null; n = await file.read(bytes.subarray(length))) {
    length += n;
    if (length > MAX_BYTES) throw failed(context, `it has more than ${MAX_BYTES} bytes`);
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

function parsed<T>(context: Context, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw failed(context, error.message.replace(/^Cannot read an? \w+: /, ""), { cause: error });
  }
}

function asFailure(context: Context, error: unknown, flag: string, missing: "file" | "folder"): unknown {
  if (isNotCapable(error)) return new PermissionError(context.operation, [flag], error);
  if (error instanceof Deno.errors.NotFound) {
    return failed(context, `there is no such ${missing}`, { cause: error });
  }
  if (error instanceof Deno.errors.AlreadyExists) {
    return failed(context, "it is there already and would be lost", { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return failed(context, "the system does not allow it", { cause: error });
  }
  return error;
}

function failed(
  context: Context,
  why: string,
  options: { readonly cause?: unknown; readonly hint?: string } = {},
): HoldfastError {
  return new HoldfastError(`Cannot ${context.operation}: ${why}`, { ...context, ...options });
}
