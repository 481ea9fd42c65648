/** A library that is opened once per isolate, and held by whoever uses it. */

import { HoldfastError } from "../errors.ts";

/** A library as it was opened. */
export interface OpenLibrary<C> {
  /** Its functions. */
  readonly call: C;
  /** Where the error number stands: `__errno_location()` or `__error()`. */
  readonly errnoPlace: Deno.PointerValue;
  /** Copies bytes out of the library's memory: memcpy(3). */
  copy(to: Uint8Array<ArrayBuffer>, from: Deno.PointerValue, size: bigint): unknown;
  /** Closes it. */
  close(): void;
}

/** A hold on a library. */
export interface Held<C> extends Disposable {
  /** The functions. */
  readonly call: C;
  /** The error number of the last call that failed; read it before any other call. */
  errno(): number;
  /** Returns a result that is not negative, or throws with the error number in words. */
  check(result: number, operation: string): number;
}

/** What taking a hold gave. */
export interface Taken<C> {
  /** The hold. */
  readonly held: Held<C>;
  /** Whether the library was opened for it. */
  readonly first: boolean;
}

/**
 * Makes the function that takes holds on a library; the last one to let go closes it.
 *
 * @param open Opens the library.
 * @param errorOf Makes the error for a call that failed, of its error number and of what was being done.
 * @returns The function; what `open` throws comes out of it.
 */
export function shareLibrary<C>(
  open: () => OpenLibrary<C>,
  errorOf: (errno: number, operation: string) => HoldfastError,
): () => Taken<C> {
  let library: OpenLibrary<C> | undefined;
  let users = 0;
  return () => {
    const first = library === undefined;
    const opened = library ??= open();
    users++;
    const word = new Int32Array(1);
    const bytes = new Uint8Array(word.buffer);
    const errno = (): number => {
      // The place is fixed per thread, and an isolate stays on its own.
      opened.copy(bytes, opened.errnoPlace, 4n);
      return word[0] ?? 0;
    };
    let live = true;
    const held: Held<C> = {
      call: opened.call,
      errno,
      check(result, operation) {
        if (result >= 0) return result;
        throw errorOf(errno(), operation);
      },
      [Symbol.dispose]() {
        if (!live) return;
        live = false;
        if (--users > 0) return;
        opened.close();
        library = undefined;
      },
    };
    return { held, first };
  };
}

/**
 * Makes the function that makes errors of system calls that failed.
 *
 * @param numbers The system's error numbers by name.
 * @returns The function, of the error number and of what was being done.
 */
export function systemErrors(
  numbers: Readonly<Record<string, number>>,
): (errno: number, operation: string) => HoldfastError {
  const names = new Map(Object.entries(numbers).map(([name, value]) => [value, name]));
  return (errno, operation) => {
    const name = names.get(errno) ?? `error ${errno}`;
    return new HoldfastError(`Cannot ${operation}: ${name}`, {
      code: "system",
      operation,
      cause: { errno, name },
    });
  };
}
