/** Streams that are different in every block, and hashed at both ends: what is lost, doubled or reordered shows. */

import { createHash } from "node:crypto";
import type { SessionPipe } from "../../pipes/resume/session.ts";

/** How long a block is, in bytes. */
const BLOCK = 32 * 1024;

/** What went one way. */
export interface Flow {
  readonly bytes: number;
  readonly hash: string;
}

/** What both directions of a pipe came to, seen from one end. */
export interface Flows {
  readonly sent: Flow;
  readonly received: Flow;
}

/**
 * Sends blocks until it is told to stop, and ends the direction then.
 *
 * @param pipe Where to.
 * @param salt What makes these blocks different from those of others.
 * @param going Whether to go on.
 */
export async function pour(
  pipe: Pick<SessionPipe, "send" | "closeWrite">,
  salt: number,
  going: () => boolean,
): Promise<Flow> {
  const hash = createHash("sha256");
  const block = new Uint8Array(BLOCK).map((_, n) => Math.imul(n + salt, 0x9e37_79b1) >>> 24);
  const view = new DataView(block.buffer);
  let bytes = 0;
  for (let n = 0; going(); n++) {
    view.setUint32(0, n);
    // Lengths of every kind, so that blocks and frames do not coincide.
    const part = block.subarray(0, BLOCK - n % 1009);
    hash.update(part);
    await pipe.send(part);
    bytes += part.length;
  }
  await pipe.closeWrite();
  return { bytes, hash: hash.digest("hex") };
}

/**
 * Receives to the end.
 *
 * @param pipe Where from.
 * @param progress Told how much has come by now.
 */
export async function drain(
  pipe: Pick<SessionPipe, "messages">,
  progress: (bytes: number) => void = () => {},
): Promise<Flow> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of pipe.messages) {
    hash.update(part);
    bytes += part.length;
    progress(bytes);
  }
  return { bytes, hash: hash.digest("hex") };
}
