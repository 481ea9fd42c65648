/** A made-up Windows behind its calls: events, waits, registry keys, notifications and tables, in memory. */

import type { Windows, WindowsCalls } from "../internal/ffi/windows.ts";
import type { WindowsBytes } from "../watch/_read_windows.ts";
import { buildAdapters } from "./_windows_tables.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The mark by which the runtime finds the promises of its calls; this number belongs to none. */
const MARK = { [Symbol.for("Deno.core.internalPromiseId")]: -1 };

const SET_EVENT = 0x5e7n;
const TIMEOUT = 258;

/** What the made-up Windows does. */
export interface FakeWindowsOptions {
  /** The tables, anew for each reading. */
  tables?(): WindowsBytes;
  /** What notifications answer: an error number, or `"stub"` for success without a handle. */
  notify?(name: string): number | "stub";
  /** What registering for a key answers; 0 by default. */
  armed?(count: number): number;
  /** What opening a key answers; 0 by default. */
  key?(path: string): number;
  /** What GetAdaptersAddresses answers before it answers at all. */
  adapters?(size: number): number;
  /** What GetBestRoute2 answers where there is no route; 1231 by default. */
  readonly noRoute?: number;
  /** Whether promises have the mark of the runtime; `"settled"`: no mark, as the call has ended at once. */
  readonly marks?: boolean | "settled";
  /** What CreateEventW fails at. */
  readonly events?: number;
}

/** Windows, its insides laid open. */
export class FakeWindows implements Windows {
  /** All that was opened and not closed: events, keys, registrations, memory, tables, waits, holds. */
  readonly open: Set<string> = new Set();
  /** What was done, in order, as far as order matters. */
  readonly log: string[] = [];
  /** How many waits blocked. */
  waits = 0;
  readonly #options: FakeWindowsOptions;
  readonly #events = new Map<bigint, { set: boolean; readonly manual: boolean }>();
  readonly #registered = new Map<bigint, bigint>();
  readonly #keys = new Map<bigint, bigint | undefined>();
  readonly #memory = new Map<bigint, Uint8Array>();
  readonly #waiting = new Set<() => void>();
  #next = 0x1000n;
  #armed = 0;
  #broken = false;

  constructor(options: FakeWindowsOptions = {}) {
    this.#options = options;
  }

  /** Gives a hold, as `acquireWindows()` does. */
  acquire(): Windows {
    const hold = `hold ${this.#number()}`;
    this.open.add(hold);
    return { call: this.call, [Symbol.dispose]: () => void this.open.delete(hold) };
  }

  /** Lets go, as a hold does. */
  [Symbol.dispose](): void {}

  /** Calls back, as on a change. */
  fire(): void {
    for (const event of new Set(this.#registered.values())) this.call.SetEvent(event);
  }

  /** Changes something below the keys, for which each notification is used up. */
  changeKeys(): void {
    for (const [key, event] of this.#keys) {
      this.#keys.set(key, undefined);
      if (event !== undefined) this.call.SetEvent(event);
    }
  }

  /** Makes all waits fail from now on. */
  breakWaits(): void {
    this.#broken = true;
    for (const look of this.#waiting) look();
  }

  #number(): bigint {
    return this.#next += 4n;
  }

  #put(out: Bytes, value: bigint): void {
    new DataView(out.buffer, out.byteOffset).setBigUint64(0, value, true);
  }

  /** The result of a wait now. */
  #result(handles: Bytes, count: number): number {
    if (this.#broken) return 0xffff_ffff;
    const data = new DataView(handles.buffer, handles.byteOffset);
    for (let i = 0; i < count; i++) {
      const event = this.#events.get(data.getBigUint64(8 * i, true));
      if (!event) return 0xffff_ffff;
      if (!event.set) continue;
      if (!event.manual) event.set = false;
      return i;
    }
    return TIMEOUT;
  }

  #notify(name: string): WindowsCalls["NotifyRouteChange2"] {
    return (_family, callback, context, _initial, out) => {
      const answer = this.#options.notify?.(name) ?? 0;
      if (answer === "stub") return 0;
      if (answer !== 0) return answer;
      if (callback !== SET_EVENT) throw new Error(`${name} was given another function than SetEvent`);
      const handle = this.#number();
      this.#registered.set(handle, context);
      this.open.add(`registration ${handle}`);
      this.#put(out, handle);
      return 0;
    };
  }

  #table(bytes: Uint8Array | null, out: Bytes): number {
    if (!bytes) return 50;
    const at = this.#number() << 20n;
    this.#memory.set(at, bytes);
    this.open.add(`table ${at}`);
    this.#put(out, at);
    return 0;
  }

  get #tables(): WindowsBytes {
    const family = { route: null, routes: null, neighbours: null };
    return this.#options.tables?.() ?? { adapters: buildAdapters([]), links: null, v4: family, v6: family };
  }

  #family(family: number): WindowsBytes["v4"] {
    return family === 2 ? this.#tables.v4 : this.#tables.v6;
  }

  readonly call: WindowsCalls = {
    NotifyIpInterfaceChange: this.#notify("NotifyIpInterfaceChange"),
    NotifyUnicastIpAddressChange: this.#notify("NotifyUnicastIpAddressChange"),
    NotifyRouteChange2: this.#notify("NotifyRouteChange2"),
    CancelMibChangeNotify2: async (handle) => {
      await Promise.resolve();
      this.log.push("cancel");
      this.open.delete(`registration ${handle}`);
      return this.#registered.delete(handle) ? 0 : 87;
    },
    GetAdaptersAddresses: (_family, _flags, _reserved, into, size) => {
      const room = new DataView(size.buffer, size.byteOffset).getUint32(0, true);
      const answer = this.#options.adapters?.(room) ?? 0;
      if (answer !== 0) return answer;
      const { base, bytes } = this.#tables.adapters;
      if (bytes.length === 0) return 232;
      // Pointers count from where the caller's memory lies, so it is laid there.
      this.#memory.set(into, moved(bytes, base, into, room));
      return 0;
    },
    GetIfTable2: (out) => this.#table(this.#tables.links, out),
    GetIpNetTable2: (family, out) => this.#table(this.#family(family).neighbours, out),
    GetIpForwardTable2: (family, out) => this.#table(this.#family(family).routes, out),
    GetBestRoute2: (_luid, _index, _source, destination, _options, row, source) => {
      const { route } = this.#family(destination[0] ?? 0);
      if (!route) return this.#options.noRoute ?? 1231;
      row.set(route.row);
      source.set(route.source);
      return 0;
    },
    FreeMibTable: (table) => void this.open.delete(`table ${table}`),
    CreateEventW: (_attributes, manual, initial) => {
      if (this.#events.size === this.#options.events) return 0n;
      const handle = this.#number();
      this.#events.set(handle, { set: initial !== 0, manual: manual !== 0 });
      this.open.add(`event ${handle}`);
      return handle;
    },
    SetEvent: (handle) => {
      const event = this.#events.get(handle);
      if (!event) return 0;
      event.set = true;
      for (const look of this.#waiting) look();
      return 1;
    },
    CloseHandle: (handle) => {
      this.log.push("close");
      this.open.delete(`event ${handle}`);
      return this.#events.delete(handle) ? 1 : 0;
    },
    waitBlocked: (count, handles) => {
      this.waits++;
      const wait = `wait ${this.waits}`;
      this.open.add(wait);
      const { promise, resolve } = Promise.withResolvers<number>();
      const look = (): void => {
        const result = this.#result(handles, count);
        if (result === TIMEOUT) return;
        this.#waiting.delete(look);
        this.open.delete(wait);
        this.log.push("waited");
        resolve(result);
      };
      this.#waiting.add(look);
      look();
      const { marks = true } = this.#options;
      const settled = !this.open.has(wait);
      return marks === true || marks === "settled" && !settled ? Object.assign(promise, MARK) : promise;
    },
    waitNow: (count, handles) => this.#result(handles, count),
    GetModuleHandleA: () => 1n,
    GetProcAddress: () => SET_EVENT,
    LocalAlloc: (_flags, size) => {
      const at = this.#number() << 32n;
      this.#memory.set(at, new Uint8Array(Number(size)));
      this.open.add(`memory ${at}`);
      return at;
    },
    LocalFree: (at) => {
      this.open.delete(`memory ${at}`);
      this.#memory.delete(at);
      return 0n;
    },
    RtlMoveMemory: (to, from, size) => {
      const bytes = this.#memory.get(from);
      if (!bytes || BigInt(bytes.length) < size) throw new Error(`no ${size} bytes at ${from}`);
      to.set(bytes.subarray(0, Number(size)));
    },
    GetTickCount64: () => 5000n,
    QueryUnbiasedInterruptTime: (time) => {
      this.#put(time, 20_000_000n);
      return 1;
    },
    RegOpenKeyExW: (_parent, name, _options, _access, out) => {
      const path = String.fromCharCode(...new Uint16Array(name.buffer)).replace("\0", "");
      const answer = this.#options.key?.(path) ?? 0;
      if (answer !== 0) return answer;
      const key = this.#number();
      this.#keys.set(key, undefined);
      this.open.add(`key ${key}`);
      this.#put(out, key);
      return 0;
    },
    RegNotifyChangeKeyValue: (key, _subtree, _filter, event) => {
      const answer = this.#options.armed?.(++this.#armed) ?? 0;
      if (answer === 0) this.#keys.set(key, event);
      return answer;
    },
    RegCloseKey: (key) => {
      this.open.delete(`key ${key}`);
      this.#keys.delete(key);
      return 0;
    },
  };
}

/** A copy of adapters at another place: all pointers into the old place lead into the new one. */
function moved(bytes: Uint8Array, from: bigint, to: bigint, room: number): Uint8Array {
  const copy = new Uint8Array(room);
  copy.set(bytes);
  const data = new DataView(copy.buffer);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const value = data.getBigUint64(at, true);
    if (value >= from && value < from + BigInt(bytes.length)) data.setBigUint64(at, value - from + to, true);
  }
  return copy;
}
