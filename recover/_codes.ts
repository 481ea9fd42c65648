/** The codes of systems and runtimes, as data: numbers per system, classes, and what each means where. */

import { CODE_NAMES } from "./_code_names.ts";
import type { VerdictName } from "./_verdicts.ts";
import type { FailureOperation } from "./failure.ts";

/** A system, as `Deno.build.os` names it. */
export type Os = typeof Deno.build.os;

/** The systems whose numbers are known. */
export type NumberedOs = "linux" | "darwin" | "windows";

/** What a code means. */
export interface CodeEntry {
  /** Its numbers: errno(3) of Linux and macOS; on Windows those of Winsock and of the system. */
  readonly numbers: Readonly<Record<NumberedOs, readonly number[]>>;
  /** What it means where nothing else is known. */
  readonly verdict: VerdictName;
  /** What it means where it is known what was being done. */
  readonly at?: Readonly<Partial<Record<FailureOperation, VerdictName>>>;
  /** Runtimes give it for other causes too, so a number or a text beside it says more. */
  readonly weak?: true;
}

/** Finds what a code means. */
export function codeEntry(code: string): CodeEntry | undefined {
  return Object.hasOwn(CODES, code) ? CODES[code] : undefined;
}

/** Finds what a name means that has no number: codes of libraries, of browsers and of TLS. */
export function namedVerdict(name: string): VerdictName | undefined {
  return Object.hasOwn(CODE_NAMES, name) ? CODE_NAMES[name] : undefined;
}

/** Finds the code that an error class stands for. Classes are known by name: each realm has classes of its own. */
export function codeOfClass(name: string): string | undefined {
  return Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
}

/**
 * Finds the code of a number of a system. What that system's table lacks is looked for in the others, as texts are read
 * on other machines than where they were written.
 */
export function codeOfNumber(number: number, os: Os | undefined): string | undefined {
  const own = os === undefined ? undefined : tableOf(os);
  const tables: NumberedOs[] = ["linux", "darwin", "windows"];
  const inOrder = own ? [own, ...tables.filter((table) => table !== own)] : tables;
  for (const table of inOrder) {
    const code = NUMBERS[table].get(number);
    if (code !== undefined) return code;
  }
  return undefined;
}

/** The codes of systems in the spelling of POSIX, and those of resolvers. */
export const CODES: Readonly<Record<string, CodeEntry>> = {
  ECONNREFUSED: {
    numbers: { linux: [111], darwin: [61], windows: [10061, 1225] },
    verdict: "port-closed",
    at: {
      resolve: "resolver-unreachable",
      send: "port-unreachable-unseen",
      receive: "port-unreachable-unseen",
    },
  },
  ECONNRESET: {
    numbers: { linux: [104], darwin: [54], windows: [10054, 64] },
    verdict: "reset-by-peer",
    at: {
      handshake: "handshake-cut",
      accept: "reset-at-accept",
      // Winsock tells of an ICMP "port unreachable" by failing the next receive.
      send: "port-unreachable-unseen",
      receive: "port-unreachable-unseen",
    },
  },
  ECONNABORTED: {
    numbers: { linux: [103], darwin: [53], windows: [10053, 1236] },
    verdict: "aborted-locally",
    at: { accept: "reset-at-accept", handshake: "handshake-cut" },
  },
  EPIPE: {
    numbers: { linux: [32], darwin: [32], windows: [10058, 232, 233, 109, 230] },
    verdict: "end-without-goodbye",
    at: { request: "early-reply", handshake: "handshake-cut" },
  },
  ENOTCONN: { numbers: { linux: [107], darwin: [57], windows: [10057] }, verdict: "not-connected" },
  ENETRESET: { numbers: { linux: [102], darwin: [52], windows: [10052] }, verdict: "path-lost-idle" },
  ETIMEDOUT: {
    numbers: { linux: [110], darwin: [60], windows: [10060, 121] },
    verdict: "syn-dropped",
    at: {
      resolve: "resolver-silent",
      handshake: "silent-after-accept",
      request: "path-lost-sending",
      read: "path-lost-sending",
      write: "path-lost-sending",
      receive: "path-lost-sending",
    },
  },
  ENETUNREACH: {
    numbers: { linux: [101], darwin: [51], windows: [10051, 1231] },
    verdict: "no-default-route",
    at: { resolve: "resolver-offline" },
  },
  ENETDOWN: {
    numbers: { linux: [100], darwin: [50], windows: [10050] },
    verdict: "link-down",
    at: { resolve: "resolver-offline" },
  },
  ENONET: { numbers: { linux: [], darwin: [], windows: [] }, verdict: "link-down" },
  EHOSTUNREACH: {
    numbers: { linux: [113], darwin: [65], windows: [10065, 1232] },
    verdict: "gateway-silent",
    at: { resolve: "resolver-unreachable", send: "send-fails-for-now" },
  },
  EHOSTDOWN: {
    numbers: { linux: [112], darwin: [64], windows: [10064] },
    verdict: "gateway-silent",
    at: { resolve: "resolver-unreachable", send: "send-fails-for-now" },
  },
  EADDRNOTAVAIL: {
    numbers: { linux: [99], darwin: [49], windows: [10049] },
    verdict: "ports-exhausted",
    at: { listen: "listen-address-missing", join: "multicast-without-interface", send: "send-fails-for-now" },
  },
  EADDRINUSE: {
    numbers: { linux: [98], darwin: [48], windows: [10048, 1227] },
    verdict: "address-in-use",
    at: { connect: "ports-exhausted", join: "not-a-failure" },
  },
  EACCES: {
    numbers: { linux: [13], darwin: [13], windows: [10013] },
    verdict: "route-prohibited",
    at: { listen: "port-privileged" },
  },
  EPERM: {
    numbers: { linux: [1], darwin: [1], windows: [5] },
    verdict: "local-firewall",
    // The runtime's node:dns gives it where the permission is missing.
    at: { resolve: "permission-missing", listen: "port-privileged" },
  },
  EMFILE: {
    numbers: { linux: [24], darwin: [24], windows: [10024, 4] },
    verdict: "files-exhausted",
    at: { accept: "accept-files-exhausted" },
  },
  ENFILE: {
    numbers: { linux: [23], darwin: [23], windows: [] },
    verdict: "files-exhausted",
    at: { accept: "accept-files-exhausted" },
  },
  ENOBUFS: {
    numbers: { linux: [105], darwin: [55], windows: [10055] },
    verdict: "kernel-table-full",
    at: { accept: "accept-files-exhausted" },
  },
  ENOMEM: {
    numbers: { linux: [12], darwin: [12], windows: [8, 14] },
    verdict: "kernel-table-full",
    at: { accept: "accept-files-exhausted" },
  },
  EMSGSIZE: { numbers: { linux: [90], darwin: [40], windows: [10040] }, verdict: "datagram-too-long" },
  EINVAL: {
    numbers: { linux: [22], darwin: [22], windows: [10022] },
    weak: true,
    // A route of type `blackhole` gives it for an address in which nothing is wrong.
    verdict: "route-prohibited",
    at: {
      listen: "invalid-argument",
      accept: "invalid-argument",
      join: "multicast-without-interface",
      read: "invalid-argument",
      receive: "invalid-argument",
    },
  },
  ENODEV: { numbers: { linux: [19], darwin: [19], windows: [] }, verdict: "multicast-without-interface" },
  EAFNOSUPPORT: { numbers: { linux: [97], darwin: [47], windows: [10047] }, verdict: "not-supported" },
  EPROTO: {
    numbers: { linux: [71], darwin: [100], windows: [] },
    verdict: "bad-answer",
    at: { accept: "reset-at-accept", handshake: "tls-failed" },
  },
  EAGAIN: {
    numbers: { linux: [11], darwin: [35], windows: [10035] },
    verdict: "would-block",
    // unix(7): the listener's queue is full.
    at: { connect: "accept-queue-full", send: "kernel-table-full" },
  },
  ENOENT: {
    numbers: { linux: [2], darwin: [2], windows: [2, 3] },
    weak: true,
    verdict: "file-missing",
    at: { connect: "unix-socket-stale", resolve: "name-unknown" },
  },
  EINTR: { numbers: { linux: [4], darwin: [4], windows: [10004] }, verdict: "cancelled" },
  ECANCELED: { numbers: { linux: [125], darwin: [89], windows: [995] }, verdict: "cancelled" },
  EBADF: { numbers: { linux: [9], darwin: [9], windows: [6, 10009] }, verdict: "cancelled" },
  // Resolvers. Winsock's numbers are those of WSAHOST_NOT_FOUND, WSATRY_AGAIN, WSANO_RECOVERY and WSANO_DATA.
  ENOTFOUND: { numbers: { linux: [], darwin: [], windows: [11001] }, verdict: "name-unknown" },
  EAI_AGAIN: { numbers: { linux: [], darwin: [], windows: [11002] }, verdict: "resolver-failure" },
  EAI_FAIL: { numbers: { linux: [], darwin: [], windows: [11003] }, verdict: "resolver-failure" },
  ENODATA: { numbers: { linux: [], darwin: [], windows: [11004] }, verdict: "name-without-address" },
  // What is no errno.
  EOF: {
    numbers: { linux: [], darwin: [], windows: [] },
    verdict: "handshake-cut",
    at: {
      request: "pooled-connection-closed",
      read: "end-without-goodbye",
      write: "end-without-goodbye",
      receive: "end-without-goodbye",
    },
  },
  UNKNOWN: {
    numbers: { linux: [], darwin: [], windows: [] },
    weak: true,
    verdict: "unknown",
    // node:dgram gives it for every failed send, node:dns where it reached no server.
    at: { send: "send-fails-for-now", resolve: "resolver-unreachable" },
  },
};

/** Which code each of the runtime's classes stands for. `NotFound` is also what a name without an answer gives. */
const CLASSES: Readonly<Record<string, string>> = {
  ConnectionRefused: "ECONNREFUSED",
  ConnectionReset: "ECONNRESET",
  ConnectionAborted: "ECONNABORTED",
  BrokenPipe: "EPIPE",
  NotConnected: "ENOTCONN",
  TimedOut: "ETIMEDOUT",
  NetworkUnreachable: "ENETUNREACH",
  HostUnreachable: "EHOSTUNREACH",
  NetworkDown: "ENETDOWN",
  AddrNotAvailable: "EADDRNOTAVAIL",
  AddrInUse: "EADDRINUSE",
  PermissionDenied: "EACCES",
  Interrupted: "EINTR",
  BadResource: "EBADF",
  UnexpectedEof: "EOF",
  WriteZero: "EPIPE",
  WouldBlock: "EAGAIN",
  NotFound: "ENOENT",
};

/** BSD's numbers, which macOS has; Android is Linux. The rest has numbers of its own, which nobody has checked. */
function tableOf(os: Os): NumberedOs | undefined {
  if (os === "linux" || os === "android") return "linux";
  if (os === "darwin" || os === "freebsd" || os === "netbsd") return "darwin";
  return os === "windows" ? "windows" : undefined;
}

const NUMBERS: Readonly<Record<NumberedOs, ReadonlyMap<number, string>>> = {
  linux: byNumber("linux"),
  darwin: byNumber("darwin"),
  windows: byNumber("windows"),
};

function byNumber(os: NumberedOs): ReadonlyMap<number, string> {
  return new Map(Object.entries(CODES).flatMap(([code, { numbers }]) => numbers[os].map((n) => [n, code])));
}
