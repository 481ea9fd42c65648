/** Faults of WebSocket (RFC 6455): the handshake and the frames by hand. */

import { onRequest, type RequestHead } from "./_fault_server_http.ts";
import { type Link, onBytes } from "./_fault_server_link.ts";
import type { Fault } from "./fault.ts";

/** The faults that need a WebSocket. */
export type WebSocketFaults = Extract<
  Fault,
  { readonly type: "websocket" | "websocket-half-open" | "websocket-reset" }
>;

/** Does to a connection what the fault says. */
export function serveWebSocketFault(fault: WebSocketFaults, link: Link): void {
  const { raw, stream } = link;
  let left = fault.type === "websocket" ? Infinity : fault.after ?? 0;
  const fail = (): void => {
    if (fault.type === "websocket-reset") raw.resetAndDestroy();
  };
  const take = ({ opcode, payload }: Frame): void => {
    if (left === 0) return;
    const reply = opcode === Opcode.ping ? Opcode.pong : opcode;
    if (opcode === Opcode.close) return void stream.end(frame(reply, payload));
    if (opcode === Opcode.text || opcode === Opcode.binary) left--;
    if (opcode === Opcode.pong) return;
    stream.write(frame(reply, payload), () => {
      if (left === 0) fail();
    });
  };
  const stop = onRequest(link, async (head) => {
    stop();
    const reply = await handshake(head);
    stream.write(reply, () => {
      if (left === 0) fail();
    });
    let bytes = new Uint8Array();
    onBytes(link, (more) => {
      bytes = Uint8Array.from([...bytes, ...more]);
      for (let next = readFrame(bytes); next; next = readFrame(bytes)) {
        bytes = bytes.subarray(next.length);
        take(next);
      }
      if (bytes.length > MAX_FRAME) raw.resetAndDestroy();
    });
  });
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3

async function handshake(head: RequestHead): Promise<string> {
  const proof = new TextEncoder().encode(head.header("sec-websocket-key") + GUID);
  const accept = new Uint8Array(await crypto.subtle.digest("SHA-1", proof)).toBase64();
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    "\r\n",
  ].join("\r\n");
}

/** The kinds of frames (RFC 6455, 11.8). */
const Opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The largest frame that is read, in bytes. */
const MAX_FRAME = 1 << 20;

interface Frame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** How many bytes it took. */
  readonly length: number;
}

/** The first frame of a client, which is masked (RFC 6455, 5.2); `undefined` until it is whole. */
function readFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const short = view.getUint8(1) & 0x7f;
  const extra = short === 127 ? 8 : short === 126 ? 2 : 0;
  const start = 2 + extra + 4;
  if (bytes.length < start) return undefined;
  const size = extra === 8 ? Number(view.getBigUint64(2)) : extra === 2 ? view.getUint16(2) : short;
  if (bytes.length < start + size) return undefined;
  const mask = bytes.subarray(start - 4, start);
  const payload = bytes.slice(start, start + size).map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return { opcode: view.getUint8(0) & 0x0f, payload, length: start + size };
}

/** A whole message of the server, unmasked. */
function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const size = payload.length;
  const head = size < 126 ? [size] : size < 65_536 ? [126, size >> 8, size & 0xff] : [127, 0, 0, 0, 0];
  if (size >= 65_536) head.push(size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff);
  return Uint8Array.from([0x80 | opcode, ...head, ...payload]);
}
