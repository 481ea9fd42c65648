/**
 * How Linux and macOS lay out what goes with a message between sockets: pure data, the same on x86-64 and AArch64 (both
 * little-endian, both with pointers of 64 bits). From sys/socket.h, bits/socket.h and sys/un.h of either system.
 */

import { formatIp, parseIp } from "../ip.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where a number lies, and how wide it is. */
interface Field {
  readonly at: number;
  readonly bytes: 4 | 8;
}

/** One system's layout. */
export interface SocketLayout {
  /** struct msghdr. */
  readonly header: {
    readonly size: number;
    readonly iov: number;
    readonly iovlen: Field;
    readonly control: number;
    readonly controllen: Field;
    readonly flags: number;
  };
  /** struct cmsghdr. */
  readonly control: {
    readonly len: Field;
    readonly level: number;
    readonly type: number;
    /** Where its data begins, which CMSG_LEN(0) is as well. */
    readonly data: number;
    /** What CMSG_SPACE rounds up to. */
    readonly align: number;
  };
  /** Whether a socket address begins with its length, and the family is one byte. */
  readonly lengthFirst: boolean;
  /** Room for the path in struct sockaddr_un. */
  readonly pathRoom: number;
  readonly AF_INET: number;
  readonly AF_INET6: number;
  readonly SOL_SOCKET: number;
  readonly SO_TYPE: number;
  readonly SO_ACCEPTCONN: number;
  readonly SO_LINGER: number;
  readonly MSG_DONTWAIT: number;
  readonly MSG_CTRUNC: number;
}

/** AF_UNIX, which is the same everywhere. */
export const AF_UNIX = 1;
/** SCM_RIGHTS, which is the same everywhere. */
export const SCM_RIGHTS = 1;

/** Linux: x86-64 and AArch64, glibc and musl. */
export const LINUX_SOCKETS: SocketLayout = {
  header: {
    size: 56,
    iov: 16,
    iovlen: { at: 24, bytes: 8 },
    control: 32,
    controllen: { at: 40, bytes: 8 },
    flags: 48,
  },
  control: { len: { at: 0, bytes: 8 }, level: 8, type: 12, data: 16, align: 8 },
  lengthFirst: false,
  pathRoom: 108,
  AF_INET: 2,
  AF_INET6: 10,
  SOL_SOCKET: 1,
  SO_TYPE: 3,
  SO_ACCEPTCONN: 30,
  SO_LINGER: 13,
  MSG_DONTWAIT: 0x40,
  MSG_CTRUNC: 0x8,
};

/** macOS: x86-64 and arm64. */
export const DARWIN_SOCKETS: SocketLayout = {
  header: {
    size: 48,
    iov: 16,
    iovlen: { at: 24, bytes: 4 },
    control: 32,
    controllen: { at: 40, bytes: 4 },
    flags: 44,
  },
  control: { len: { at: 0, bytes: 4 }, level: 4, type: 8, data: 12, align: 4 },
  lengthFirst: true,
  pathRoom: 104,
  AF_INET: 2,
  AF_INET6: 30,
  SOL_SOCKET: 0xffff,
  SO_TYPE: 0x1008,
  SO_ACCEPTCONN: 0x2,
  SO_LINGER: 0x80,
  MSG_DONTWAIT: 0x80,
  MSG_CTRUNC: 0x20,
};

/** CMSG_SPACE for a number of descriptors: how much room they take. */
export function rightsSpace(layout: SocketLayout, count: number): number {
  const { data, align } = layout.control;
  return data + Math.ceil(count * 4 / align) * align;
}

/**
 * Writes the control data that carries descriptors.
 *
 * @param layout The system's layout.
 * @param descriptors Them.
 * @param into Where it goes; there must be room.
 * @returns How many bytes it takes.
 */
export function encodeRights(layout: SocketLayout, descriptors: readonly number[], into: Bytes): number {
  const { len, level, type, data } = layout.control;
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  putNumber(view, len, data + descriptors.length * 4);
  view.setInt32(level, layout.SOL_SOCKET, true);
  view.setInt32(type, SCM_RIGHTS, true);
  descriptors.forEach((descriptor, index) => view.setInt32(data + index * 4, descriptor, true));
  const space = rightsSpace(layout, descriptors.length);
  into.fill(0, data + descriptors.length * 4, space);
  return space;
}

/**
 * Reads the descriptors out of control data. What is written there is counted, and never what was expected: a system may
 * give more of them than there was asked for.
 *
 * @param layout The system's layout.
 * @param control What was received, cut to its length.
 * @returns The descriptors, in order.
 */
export function decodeRights(layout: SocketLayout, control: Bytes): number[] {
  const { len, level, type, data, align } = layout.control;
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const descriptors: number[] = [];
  for (let at = 0; at + data <= control.length;) {
    const size = Math.min(number(view, len, at), control.length - at);
    if (size < data) break;
    if (
      view.getInt32(at + level, true) === layout.SOL_SOCKET && view.getInt32(at + type, true) === SCM_RIGHTS
    ) {
      for (let place = at + data; place + 4 <= at + size; place += 4) {
        descriptors.push(view.getInt32(place, true));
      }
    }
    at += Math.ceil(size / align) * align;
  }
  return descriptors;
}

/** Writes a msghdr, but for the lengths, which differ from message to message: see {@linkcode putNumber}. */
export function encodeHeader(
  layout: SocketLayout,
  into: Bytes,
  { iov, control }: { readonly iov: bigint; readonly control: bigint },
): void {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  into.fill(0, 0, layout.header.size);
  view.setBigUint64(layout.header.iov, iov, true);
  putNumber(view, layout.header.iovlen, 1);
  view.setBigUint64(layout.header.control, control, true);
}

/** Writes a number that fits into 32 bits into its field. */
export function putNumber(view: DataView, { at, bytes }: Field, value: number): void {
  view.setUint32(at, value, true);
  if (bytes === 8) view.setUint32(at + 4, 0, true);
}

/** The address of a socket: of a host, or a path (empty for an end without a name; one in the abstract space begins with NUL). */
export type SocketName =
  | {
    readonly family: "inet" | "inet6";
    readonly hostname: string;
    readonly port: number;
    readonly zone: number;
  }
  | { readonly family: "unix"; readonly path: string };

/**
 * Reads a struct sockaddr.
 *
 * @param layout The system's layout.
 * @param bytes The address, cut to its length.
 * @returns What it says, or `null` where it is of no family known here.
 */
export function decodeName(layout: SocketLayout, bytes: Bytes): SocketName | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 2) return null;
  const family = layout.lengthFirst ? view.getUint8(1) : view.getUint16(0, true);
  if (family === AF_UNIX) {
    const name = bytes.subarray(2);
    // A name in the abstract space begins with NUL, and all of it counts.
    const end = name[0] === 0 ? -1 : name.indexOf(0);
    const text = new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
    return { family: "unix", path: /^\0*$/.test(text) ? "" : text };
  }
  if (family === layout.AF_INET && bytes.length >= 8) {
    return { family: "inet", hostname: formatIp(bytes.subarray(4, 8)), port: view.getUint16(2), zone: 0 };
  }
  if (family === layout.AF_INET6 && bytes.length >= 28) {
    const zone = view.getUint32(24, true);
    return { family: "inet6", hostname: formatIp(bytes.subarray(8, 24)), port: view.getUint16(2), zone };
  }
  return null;
}

/**
 * Writes a struct sockaddr_un.
 *
 * @param layout The system's layout.
 * @param path The path.
 * @returns The address.
 * @throws {RangeError} When the path is longer than the system allows, or empty, or has NUL in it.
 */
export function encodePath(layout: SocketLayout, path: string): Bytes {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length >= layout.pathRoom || name.includes(0)) {
    throw new RangeError(
      `Cannot use the path of a Unix socket: it must have 1 to ${layout.pathRoom - 1} bytes and no NUL, got ${
        JSON.stringify(path)
      }`,
    );
  }
  const bytes = new Uint8Array(2 + name.length + 1);
  if (layout.lengthFirst) bytes.set([bytes.length, AF_UNIX]);
  else bytes[0] = AF_UNIX;
  bytes.set(name, 2);
  return bytes;
}

/** The address as something to compare by: the runtime prints one of IPv4 on a socket of IPv6 as IPv6, and so are its bytes. */
export function nameKey(address: { readonly hostname: string; readonly port: number }): string {
  return `${parseIp(address.hostname.replace(/%.*$/, ""))?.toHex() ?? ""} ${address.port}`;
}

function number(view: DataView, { at, bytes }: Field, from: number): number {
  const low = view.getUint32(from + at, true);
  return bytes === 8 && view.getUint32(from + at + 4, true) !== 0 ? Number.MAX_SAFE_INTEGER : low;
}
