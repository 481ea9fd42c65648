/** One channel: the keys of one handshake, and which packets came. */

import { concat } from "../internal/crypto.ts";
import { BLOCK_LENGTH, openBlock, openBytes, sealBlock, sealBytes } from "./_crypto.ts";
import { PacketWindow } from "./_packet_window.ts";
import type { SessionKeys } from "./_session_keys.ts";
import {
  BLOCK_AT,
  HEADER_LENGTH,
  packetStart,
  pad,
  type SizeClass,
  sizeClassFor,
  unpad,
} from "./envelope.ts";

/** What a packet was. */
export type OpenedPacket =
  | { readonly type: "opened"; readonly number: number; readonly content: Uint8Array }
  | { readonly type: "copy"; readonly number: number }
  | { readonly type: "old" }
  | { readonly type: "forged" };

/** How many packets one channel carries in one direction. */
export const MAX_PACKETS: number = 2 ** 32 - 1;

/** Seals and opens the packets of one channel. */
export class SealedChannel {
  /** What it was made of. */
  readonly keys: SessionKeys;
  #sent = 0;
  readonly #window = new PacketWindow();

  /** @param keys What the handshake gave. */
  constructor(keys: SessionKeys) {
    this.keys = keys;
  }

  /** How many packets it has sealed. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Makes a packet.
   *
   * @param content What it holds.
   * @param least How large it is at least.
   * @returns `null` where the channel has carried all that it may.
   */
  seal(content: Uint8Array, least?: SizeClass): Uint8Array | null {
    const size = sizeClassFor(content.length, least);
    if (this.#sent >= MAX_PACKETS) return null;
    const number = ++this.#sent;
    const { send, sendToken } = this.keys;
    const header = concat(packetStart("data", sendToken), sealBlock(send.block, blockOf(number)));
    return concat(header, sealBytes(send.content, nonceOf(number), header, pad(content, size)));
  }

  /** Opens a packet, or says why it does not. */
  open(packet: Uint8Array): OpenedPacket {
    const { receive } = this.keys;
    const header = packet.subarray(0, HEADER_LENGTH);
    const number = numberOf(openBlock(receive.block, header.subarray(BLOCK_AT)));
    if (number === null) return { type: "forged" };
    const seen = this.#window.look(number);
    if (seen === "old") return { type: "old" };
    // Only numbers that were authenticated are in the window, so no forger makes a copy of a packet that has not come.
    if (seen === "copy") return { type: "copy", number };
    const padded = openBytes(receive.content, nonceOf(number), header, packet.subarray(HEADER_LENGTH));
    const content = padded && unpad(padded);
    if (!content) return { type: "forged" };
    this.#window.note(number);
    return { type: "opened", number, content };
  }
}

/** The number of a packet, 8 bytes, and as many zeros. */
function blockOf(number: number): Uint8Array {
  const block = new Uint8Array(BLOCK_LENGTH);
  new DataView(block.buffer).setBigUint64(0, BigInt(number));
  return block;
}

function numberOf(block: Uint8Array): number | null {
  if (block.subarray(8).some((byte) => byte !== 0)) return null;
  const number = new DataView(block.buffer, block.byteOffset).getBigUint64(0);
  return number > 0n && number <= BigInt(MAX_PACKETS) ? Number(number) : null;
}

function nonceOf(number: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(number));
  return nonce;
}
