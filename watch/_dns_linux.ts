/** The resolver's files seen through the C library: read without `--allow-read`, watched by inotify(7). */

import { cString, ERRNO, type Libc, readFile, readLink } from "../internal/ffi/libc_linux.ts";
import { claim } from "../internal/ffi/orphans.ts";
import { readDns, RESOLV_CONF, resolveTarget, watchedNames } from "./_resolv.ts";
import type { DnsConfig } from "./state.ts";

const IN_NONBLOCK = 0x800;
const IN_CLOEXEC = 0x80000;
// Written in place, created, moved in, moved away or deleted: the ways a file comes to have other content.
const IN_MASK = 0x8 | 0x40 | 0x80 | 0x100 | 0x200;
const IN_ONLYDIR = 0x1000000;

const decoder = new TextDecoder();

/** Reads the resolver's configuration once. */
export function readDnsByLibc(libc: Libc): DnsConfig | null {
  return readDns((path) => {
    const bytes = readFile(libc, path);
    if (bytes) return decoder.decode(bytes);
    return libc.errno() === ERRNO.ENOENT ? "" : null;
  });
}

/** Keeps the resolver's configuration, and reads it anew when one of its files was replaced. */
export class DnsWatch implements Disposable {
  /** The inotify descriptor, or -1 where there is none; then every reading reads the files. */
  readonly fd: number;
  readonly #libc: Libc;
  readonly #buffer = new Uint8Array(16 * 1024);
  /** Watch descriptor to the file names that matter in that directory. */
  #names = new Map<number, Set<string>>();
  #config: DnsConfig | null = null;
  #stale = true;

  /** @param libc The C library. */
  constructor(libc: Libc) {
    this.#libc = libc;
    this.fd = libc.call.inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (this.fd >= 0) claim(libc, this.fd);
    this.#rewatch();
  }

  /** Closes the descriptor. */
  [Symbol.dispose](): void {
    if (this.fd >= 0) this.#libc.call.close(this.fd);
  }

  /** The configuration as it is. */
  read(): DnsConfig | null {
    if (!this.#stale && this.fd >= 0) return this.#config;
    this.#stale = false;
    this.#config = readDnsByLibc(this.#libc);
    return this.#config;
  }

  /** Takes what the kernel has to say, and tells whether the files must be read again. */
  drain(): boolean {
    if (this.fd < 0) return false;
    while (true) {
      const size = this.#libc.call.read(this.fd, this.#buffer, BigInt(this.#buffer.length));
      if (size <= 0) break;
      if (this.#concerns(this.#buffer.subarray(0, size))) this.#stale = true;
    }
    // The link may lead elsewhere now, or a directory exist that did not.
    if (this.#stale) this.#rewatch();
    return this.#stale;
  }

  /** struct inotify_event: wd 0/4, mask 4/4, cookie 8/4, len 12/4, name; wd -1 tells of lost events. */
  #concerns(bytes: Uint8Array): boolean {
    const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 16 <= bytes.length;) {
      const watch = data.getInt32(at, true);
      const length = data.getUint32(at + 12, true);
      if (watch < 0) return true;
      const name = decoder.decode(bytes.subarray(at + 16, at + 16 + length)).replace(/\0.*$/, "");
      if (this.#names.get(watch)?.has(name)) return true;
      at += 16 + length;
    }
    return false;
  }

  #rewatch(): void {
    if (this.fd < 0) return;
    const link = readLink(this.#libc, RESOLV_CONF);
    const target = link === null ? null : resolveTarget(RESOLV_CONF, link);
    const names = new Map<number, Set<string>>();
    for (const [directory, files] of watchedNames(target)) {
      // A directory watched already keeps its number.
      const watch = this.#libc.call.inotify_add_watch(this.fd, cString(directory), IN_MASK | IN_ONLYDIR);
      if (watch >= 0) names.set(watch, files);
    }
    for (const watch of this.#names.keys()) {
      if (!names.has(watch)) this.#libc.call.inotify_rm_watch(this.fd, watch);
    }
    this.#names = names;
  }
}
