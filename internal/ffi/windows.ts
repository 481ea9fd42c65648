/**
 * The calls of Windows that Holdfast uses: IP Helper, events and waits, the registry.
 *
 * Handles, pointers and addresses all travel as plain numbers (`usize`), and memory is copied out by RtlMoveMemory: so
 * nothing of the runtime's pointer classes is needed, which a path-scoped `--allow-ffi` refuses.
 */

import { HoldfastError, isNotCapable, PermissionError } from "../errors.ts";
import { flagsOf } from "../permissions.ts";
import { windowsCandidates, type WindowsLibrary, windowsNeeds } from "./windows_paths.ts";

const IPHLPAPI = {
  /** DWORD NotifyIpInterfaceChange(family, callback, context, BOOLEAN initial, HANDLE *handle) */
  NotifyIpInterfaceChange: { parameters: ["u16", "usize", "usize", "u8", "buffer"], result: "u32" },
  /** DWORD NotifyUnicastIpAddressChange(family, callback, context, BOOLEAN initial, HANDLE *handle) */
  NotifyUnicastIpAddressChange: { parameters: ["u16", "usize", "usize", "u8", "buffer"], result: "u32" },
  /** DWORD NotifyRouteChange2(family, callback, context, BOOLEAN initial, HANDLE *handle) */
  NotifyRouteChange2: { parameters: ["u16", "usize", "usize", "u8", "buffer"], result: "u32" },
  /** DWORD CancelMibChangeNotify2(HANDLE) waits for callbacks that run, so never on the runtime's own thread. */
  CancelMibChangeNotify2: { parameters: ["usize"], result: "u32", nonblocking: true },
  /** ULONG GetAdaptersAddresses(family, flags, reserved, buffer, ULONG *size) */
  GetAdaptersAddresses: { parameters: ["u32", "u32", "usize", "usize", "buffer"], result: "u32" },
  /** DWORD GetIfTable2(PMIB_IF_TABLE2 *table) */
  GetIfTable2: { parameters: ["buffer"], result: "u32" },
  /** DWORD GetIpNetTable2(family, PMIB_IPNET_TABLE2 *table) */
  GetIpNetTable2: { parameters: ["u16", "buffer"], result: "u32" },
  /** DWORD GetIpForwardTable2(family, PMIB_IPFORWARD_TABLE2 *table) */
  GetIpForwardTable2: { parameters: ["u16", "buffer"], result: "u32" },
  /** DWORD GetBestRoute2(luid, index, source, destination, options, MIB_IPFORWARD_ROW2 *, SOCKADDR_INET *) */
  GetBestRoute2: {
    parameters: ["usize", "u32", "usize", "buffer", "u32", "buffer", "buffer"],
    result: "u32",
  },
  /** void FreeMibTable(table) */
  FreeMibTable: { parameters: ["usize"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const KERNEL32 = {
  /** HANDLE CreateEventW(attributes, BOOL manualReset, BOOL initialState, name) */
  CreateEventW: { parameters: ["usize", "i32", "i32", "usize"], result: "usize" },
  /** BOOL SetEvent(HANDLE) */
  SetEvent: { parameters: ["usize"], result: "i32" },
  /** BOOL CloseHandle(HANDLE) */
  CloseHandle: { parameters: ["usize"], result: "i32" },
  /** DWORD WaitForMultipleObjects(count, handles, BOOL all, milliseconds), on a thread of the runtime's pool */
  waitBlocked: {
    name: "WaitForMultipleObjects",
    parameters: ["u32", "buffer", "i32", "u32"],
    result: "u32",
    nonblocking: true,
  },
  /** The same at once, for a wait of no time. */
  waitNow: {
    name: "WaitForMultipleObjects",
    parameters: ["u32", "buffer", "i32", "u32"],
    result: "u32",
  },
  /** HMODULE GetModuleHandleA(name) */
  GetModuleHandleA: { parameters: ["buffer"], result: "usize" },
  /** FARPROC GetProcAddress(module, name) */
  GetProcAddress: { parameters: ["usize", "buffer"], result: "usize" },
  /** HLOCAL LocalAlloc(flags, size) */
  LocalAlloc: { parameters: ["u32", "usize"], result: "usize" },
  /** HLOCAL LocalFree(memory) */
  LocalFree: { parameters: ["usize"], result: "usize" },
  /** void RtlMoveMemory(to, from, size) */
  RtlMoveMemory: { parameters: ["buffer", "usize", "usize"], result: "void" },
  /** ULONGLONG GetTickCount64(void): milliseconds since the start, sleep included */
  GetTickCount64: { parameters: [], result: "u64" },
  /** BOOL QueryUnbiasedInterruptTime(ULONGLONG *): 100 ns since the start, without sleep */
  QueryUnbiasedInterruptTime: { parameters: ["buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const ADVAPI32 = {
  /** LSTATUS RegOpenKeyExW(HKEY, name, options, access, HKEY *) */
  RegOpenKeyExW: { parameters: ["usize", "buffer", "u32", "u32", "buffer"], result: "u32" },
  /** LSTATUS RegNotifyChangeKeyValue(HKEY, BOOL subtree, filter, HANDLE event, BOOL asynchronous) */
  RegNotifyChangeKeyValue: { parameters: ["usize", "i32", "u32", "usize", "i32"], result: "u32" },
  /** LSTATUS RegCloseKey(HKEY) */
  RegCloseKey: { parameters: ["usize"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Bytes = Uint8Array<ArrayBuffer>;
type Notify = (family: number, callback: bigint, context: bigint, initial: number, handle: Bytes) => number;

/** The functions. Those of IP Helper and the registry give an error number, 0 for none; handles are 0 for none. */
export interface WindowsCalls {
  /** NotifyIpInterfaceChange */
  readonly NotifyIpInterfaceChange: Notify;
  /** NotifyUnicastIpAddressChange */
  readonly NotifyUnicastIpAddressChange: Notify;
  /** NotifyRouteChange2 */
  readonly NotifyRouteChange2: Notify;
  /** CancelMibChangeNotify2 */
  CancelMibChangeNotify2(handle: bigint): Promise<number>;
  /** GetAdaptersAddresses */
  GetAdaptersAddresses(family: number, flags: number, reserved: bigint, into: bigint, size: Bytes): number;
  /** GetIfTable2 */
  GetIfTable2(table: Bytes): number;
  /** GetIpNetTable2 */
  GetIpNetTable2(family: number, table: Bytes): number;
  /** GetIpForwardTable2 */
  GetIpForwardTable2(family: number, table: Bytes): number;
  /** GetBestRoute2 */
  GetBestRoute2(
    luid: bigint,
    index: number,
    source: bigint,
    destination: Bytes,
    options: number,
    row: Bytes,
    bestSource: Bytes,
  ): number;
  /** FreeMibTable */
  FreeMibTable(table: bigint): void;
  /** CreateEventW */
  CreateEventW(attributes: bigint, manualReset: number, initialState: number, name: bigint): bigint;
  /** SetEvent */
  SetEvent(handle: bigint): number;
  /** CloseHandle */
  CloseHandle(handle: bigint): number;
  /** WaitForMultipleObjects on another thread; the handles must not be closed before it settles. */
  waitBlocked(count: number, handles: Bytes, all: number, milliseconds: number): Promise<number>;
  /** WaitForMultipleObjects on this thread. */
  waitNow(count: number, handles: Bytes, all: number, milliseconds: number): number;
  /** GetModuleHandleA */
  GetModuleHandleA(name: Bytes): bigint;
  /** GetProcAddress */
  GetProcAddress(module: bigint, name: Bytes): bigint;
  /** LocalAlloc */
  LocalAlloc(flags: number, size: bigint): bigint;
  /** LocalFree */
  LocalFree(memory: bigint): bigint;
  /** RtlMoveMemory */
  RtlMoveMemory(to: Bytes, from: bigint, size: bigint): void;
  /** GetTickCount64 */
  GetTickCount64(): bigint;
  /** QueryUnbiasedInterruptTime */
  QueryUnbiasedInterruptTime(time: Bytes): number;
  /** RegOpenKeyExW */
  RegOpenKeyExW(parent: bigint, name: Bytes, options: number, access: number, key: Bytes): number;
  /** RegNotifyChangeKeyValue */
  RegNotifyChangeKeyValue(key: bigint, subtree: number, filter: number, event: bigint, async: number): number;
  /** RegCloseKey */
  RegCloseKey(key: bigint): number;
}

/** The libraries, opened once per isolate and shared; each user has a hold on them. */
export interface Windows extends Disposable {
  /** The functions. */
  readonly call: WindowsCalls;
}

let libraries: { readonly call: WindowsCalls; close(): void } | undefined;
let users = 0;

/**
 * Opens the libraries, or takes a further hold on them. The last one to let go closes them.
 *
 * @returns The hold.
 * @throws {PermissionError} Without `--allow-ffi` for all of their paths.
 * @throws {HoldfastError} `unsupported` where one is not found or lacks a function.
 */
export function acquireWindows(): Windows {
  libraries ??= openAll();
  users++;
  let held = true;
  return {
    call: libraries.call,
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      if (--users > 0) return;
      libraries?.close();
      libraries = undefined;
    },
  };
}

function openAll(): { readonly call: WindowsCalls; close(): void } {
  using stack = new DisposableStack();
  const open = <const S extends Deno.ForeignLibraryInterface>(
    library: WindowsLibrary,
    symbols: S,
  ): Deno.DynamicLibrary<S>["symbols"] =>
    stack.adopt(openLibrary(library, symbols), (opened) => opened.close()).symbols;
  const call = {
    ...open("iphlpapi", IPHLPAPI),
    ...open("kernel32", KERNEL32),
    ...open("advapi32", ADVAPI32),
  };
  const owned = stack.move();
  return { call, close: () => owned.dispose() };
}

function openLibrary<const S extends Deno.ForeignLibraryInterface>(
  library: WindowsLibrary,
  symbols: S,
): Deno.DynamicLibrary<S> {
  const operation = `open the system library ${library}.dll`;
  const candidates = windowsCandidates(library);
  let failure: unknown;
  for (const path of candidates) {
    try {
      return Deno.dlopen(path, symbols);
    } catch (error) {
      // One is enough to know that the others are missing as well.
      if (isNotCapable(error)) throw new PermissionError(operation, flagsOf(windowsNeeds()), error);
      failure ??= error;
    }
  }
  throw new HoldfastError(`Cannot ${operation}: not found, or too old, as ${candidates.join(", ")}`, {
    code: "unsupported",
    operation,
    cause: failure,
    hint: 'Name another backend, for example "powershell" or "poll"',
  });
}

/**
 * Makes the error for a call that failed.
 *
 * @param code The error number (winerror.h).
 * @param operation What was being done.
 */
export function windowsError(code: number, operation: string): HoldfastError {
  return new HoldfastError(`Cannot ${operation}: Windows error ${code}`, {
    code: "system",
    operation,
    cause: { errno: code, name: `ERROR_${code}` },
  });
}

/** Text as a C string of UTF-16, as the functions that end in W take it. */
export function wideString(text: string): Uint8Array<ArrayBuffer> {
  const wide = new Uint16Array(text.length + 1);
  for (let i = 0; i < text.length; i++) wide[i] = text.charCodeAt(i);
  return new Uint8Array(wide.buffer);
}

/** Text as a C string of ASCII, as the functions that end in A take it. */
export function narrowString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** The number in a buffer of 8 bytes that a function wrote a handle or a pointer into. */
export function addressIn(bytes: Uint8Array<ArrayBuffer>): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
}
