/** Messages between Unix sockets that carry descriptors: sendmsg(2) and recvmsg(2) over one piece of memory. */

import type { SocketCalls } from "./socket_calls.ts";
import { decodeRights, encodeHeader, encodeRights, LINUX_SOCKETS, putNumber } from "./socket_layouts.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const LAYOUT = LINUX_SOCKETS;
/** Where things lie in the memory: msghdr, iovec, control data, data. */
const [IOV, CONTROL, DATA] = [64, 128, 4096];
/** Room for 512 descriptors, more than any system sends at once: what there is no room for would be lost, or leak. */
const CONTROL_ROOM = 16 + 512 * 4;

/** The most bytes that go into one message, or come out of one. */
export const MESSAGE_ROOM: number = 64 * 1024;
/** The most descriptors that Linux takes in one message (SCM_MAX_FD). */
export const MOST_DESCRIPTORS = 253;

// asm-generic/errno.h
/** There is nothing to read, or no room to write. */
export const EAGAIN = 11;
const EINTR = 4;

const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** A message as it was received. */
export interface ReceivedMessage {
  /** Its bytes; they are overwritten by the next message. None at the end of the stream. */
  readonly data: Bytes;
  /** Its descriptors, which belong to whoever received it. */
  readonly descriptors: readonly number[];
  /** Whether the system has dropped some, for want of room in this process for example. */
  readonly truncated: boolean;
}

interface Arena {
  readonly header: Bytes;
  readonly view: DataView;
  readonly control: Bytes;
  readonly data: Bytes;
}

let arena: Arena | undefined;

/**
 * Sends without waiting.
 *
 * @param calls The C library.
 * @param fd The socket.
 * @param data At least one byte: with none of them descriptors vanish. What is beyond {@linkcode MESSAGE_ROOM} is left.
 * @param descriptors What goes along; it stays open here. They have gone as soon as any byte has.
 * @returns How many bytes went, or the error number, negative.
 */
export function sendMessage(
  calls: SocketCalls,
  fd: number,
  data: Uint8Array,
  descriptors: readonly number[] = [],
): number {
  const { header, view, control, data: room } = arena ??= allocate(calls);
  const part = data.length > MESSAGE_ROOM ? data.subarray(0, MESSAGE_ROOM) : data;
  room.set(part);
  view.setUint32(IOV + 8, part.length, true);
  const size = descriptors.length === 0 ? 0 : encodeRights(LAYOUT, descriptors, control);
  putNumber(view, LAYOUT.header.controllen, size);
  for (;;) {
    const result = calls.call.sendmsg(fd, header, LAYOUT.MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result >= 0) return result;
    const errno = calls.errno();
    if (errno !== EINTR) return -errno;
  }
}

/**
 * Receives without waiting.
 *
 * @param calls The C library.
 * @param fd The socket.
 * @returns The message, or the error number, negative. Its descriptors are not inherited by other programs.
 */
export function receiveMessage(calls: SocketCalls, fd: number): ReceivedMessage | number {
  const { header, view, control, data } = arena ??= allocate(calls);
  for (;;) {
    view.setUint32(IOV + 8, MESSAGE_ROOM, true);
    putNumber(view, LAYOUT.header.controllen, CONTROL_ROOM);
    const result = calls.call.recvmsg(fd, header, LAYOUT.MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (result < 0) {
      const errno = calls.errno();
      if (errno === EINTR) continue;
      return -errno;
    }
    const size = view.getUint32(LAYOUT.header.controllen.at, true);
    return {
      data: data.subarray(0, result),
      descriptors: size === 0 ? [] : decodeRights(LAYOUT, control.subarray(0, size)),
      truncated: (view.getInt32(LAYOUT.header.flags, true) & LAYOUT.MSG_CTRUNC) !== 0,
    };
  }
}

function allocate(calls: SocketCalls): Arena {
  // A buffer of its own stays where it is, which the memory of a small typed array does not.
  const buffer = new ArrayBuffer(DATA + MESSAGE_ROOM);
  const all = new Uint8Array(buffer);
  const start = calls.call.address(all, all, 0n);
  const view = new DataView(buffer);
  encodeHeader(LAYOUT, all.subarray(0, IOV), { iov: start + BigInt(IOV), control: start + BigInt(CONTROL) });
  // struct iovec { void *base; size_t len; }
  view.setBigUint64(IOV, start + BigInt(DATA), true);
  return {
    header: all.subarray(0, IOV),
    view,
    control: all.subarray(CONTROL, CONTROL + CONTROL_ROOM),
    data: all.subarray(DATA),
  };
}
