/** A session's data phase as bytes, to go on with it in another process. */

import { createHash } from "node:crypto";
import { MAX_POSITION } from "./_frames.ts";

/** What a session is at one moment. */
export interface CoreSnapshot {
  /** Which end it is. */
  readonly role: "client" | "server";
  /** Bytes that may be sent and not acknowledged, 65,536 to 67,108,864. */
  readonly window: number;
  /** Milliseconds of silence after which the client asks; 0 for never. */
  readonly keepalive: number;
  /** The position that was sent up to. */
  readonly sent: number;
  /** Everything before it was consumed by the other application. */
  readonly acknowledged: number;
  /** The position after the last byte that was written. */
  readonly written: number;
  /** Whether the end was written. */
  readonly finished: boolean;
  /** Everything before it was received. */
  readonly received: number;
  /** Everything before it was consumed. */
  readonly consumed: number;
  /** Whether the end was received. */
  readonly ended: boolean;
  /** Whether the acknowledgement of the end has left. */
  readonly ackedEnd: boolean;
  /** What was written and not acknowledged, in order. */
  readonly unacknowledged: readonly Uint8Array[];
  /** What was received and not consumed, in order. */
  readonly unread: readonly Uint8Array[];
}

/** The first bytes; the last of them is the version. */
const MAGIC = Uint8Array.of(0x48, 0x46, 0x53, 0x43, 1);
const HEAD = 46;
const DIGEST = 32;

/** Writes a snapshot, with a checksum behind it. */
export function encodeSnapshot(state: CoreSnapshot): Uint8Array<ArrayBuffer> {
  const parts = [...state.unacknowledged, ...state.unread];
  const size = parts.reduce((sum, { length }) => sum + length, HEAD);
  const bytes = new Uint8Array(size + DIGEST);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  bytes[5] = state.role === "client" ? 0 : 1;
  bytes[6] = (state.finished ? 1 : 0) | (state.ended ? 2 : 0) | (state.ackedEnd ? 4 : 0);
  view.setUint32(8, state.window);
  view.setUint32(12, state.keepalive);
  const { sent, acknowledged, written, received, consumed } = state;
  for (const [n, position] of [sent, acknowledged, written, received, consumed].entries()) {
    view.setUint16(16 + 6 * n, Math.floor(position / 2 ** 32));
    view.setUint32(18 + 6 * n, position % 2 ** 32);
  }
  let at = HEAD;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.set(digest(bytes.subarray(0, size)), size);
  return bytes;
}

/**
 * Reads a snapshot.
 *
 * @param bytes Any bytes.
 * @throws {SyntaxError} If they are no snapshot, or one that cannot be.
 */
export function decodeSnapshot(bytes: Uint8Array): CoreSnapshot {
  const end = bytes.length - DIGEST;
  if (end < HEAD || MAGIC.some((byte, n) => bytes[n] !== byte)) {
    throw broken(`no snapshot of version ${MAGIC[4]}, ${bytes.length} bytes`);
  }
  const sum = bytes.subarray(end);
  if (digest(bytes.subarray(0, end)).some((byte, n) => sum[n] !== byte)) {
    throw broken("the checksum is wrong");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [role = 0, flags = 0, zero = 0] = bytes.subarray(5, 8);
  const position = (n: number): number => view.getUint16(16 + 6 * n) * 2 ** 32 + view.getUint32(18 + 6 * n);
  const state = {
    role: role === 0 ? "client" : "server",
    window: view.getUint32(8),
    keepalive: view.getUint32(12),
    sent: position(0),
    acknowledged: position(1),
    written: position(2),
    finished: (flags & 1) !== 0,
    received: position(3),
    consumed: position(4),
    ended: (flags & 2) !== 0,
    ackedEnd: (flags & 4) !== 0,
  } as const;
  const out = Math.max(0, state.written - state.acknowledged);
  const waiting = Math.max(0, state.received - (state.ended ? 1 : 0) - state.consumed);
  if (role > 1 || flags > 7 || zero !== 0) throw broken("unknown flags");
  if (!isPossible(state, out, waiting)) throw broken("its positions contradict each other");
  if (end !== HEAD + out + waiting) throw broken(`it has ${end} bytes, ${HEAD + out + waiting} belong to it`);
  return {
    ...state,
    unacknowledged: [bytes.subarray(HEAD, HEAD + out)],
    unread: [bytes.subarray(HEAD + out, end)],
  };
}

function isPossible(
  state: Omit<CoreSnapshot, "unacknowledged" | "unread">,
  out: number,
  waiting: number,
): boolean {
  const { window, sent, acknowledged, written, finished, received, consumed, ended, ackedEnd } = state;
  return window >= 65_536 && window <= 67_108_864 && out <= window && waiting <= window &&
    acknowledged <= sent && sent <= written + (finished ? 1 : 0) && written < MAX_POSITION &&
    consumed <= received && (!ended || received > 0) && (!ackedEnd || (ended && consumed === received));
}

function digest(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

function broken(why: string): SyntaxError {
  return new SyntaxError(`Cannot restore a session: ${why}`);
}
