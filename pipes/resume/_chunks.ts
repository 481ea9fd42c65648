/** Memory for what is on its way, shared by all sessions of the process: an idle session holds none of it. */

/** Bytes of a large chunk: 64 KiB of payload in up to five frames. */
export const LARGE: number = 65_536 + 64;

/** Bytes of a small chunk, for sessions that say little. */
export const SMALL: number = 4096;

/** How many of each are kept for the next who needs one. */
const SPARE = 64;

/** A piece of memory, with what its user notes about it. */
export interface Chunk {
  /** The memory. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where in it the used part begins. */
  begin: number;
  /** Where in it the used part ends. */
  end: number;
  /** The position of the first byte of the stream in it. */
  first: number;
  /** How many carriers may still be reading it. */
  readers: number;
  /** Whether its user is done with it. */
  dropped: boolean;
}

const free: Readonly<Record<"small" | "large", Chunk[]>> = { small: [], large: [] };

/**
 * Gives a chunk, with whatever was in it last.
 *
 * @param position The position of the first byte that it will hold.
 * @param size Bytes that are to be kept now: a few get a small chunk.
 */
export function borrowChunk(position: number, size: number): Chunk {
  const small = size <= SMALL / 2;
  const chunk = free[small ? "small" : "large"].pop() ?? {
    bytes: new Uint8Array(small ? SMALL : LARGE),
    begin: 0,
    end: 0,
    first: 0,
    readers: 0,
    dropped: false,
  };
  chunk.begin = 0;
  chunk.end = 0;
  chunk.first = position;
  chunk.dropped = false;
  return chunk;
}

/** Takes a chunk back. One that a carrier is still reading is kept for nobody else before it has been read. */
export function dropChunk(chunk: Chunk): void {
  chunk.dropped = true;
  giveBack(chunk);
}

/** Says that a carrier is done with reading. */
export function releaseChunk(chunk: Chunk): void {
  chunk.readers--;
  if (chunk.dropped) giveBack(chunk);
}

function giveBack(chunk: Chunk): void {
  if (chunk.readers > 0) return;
  const list = free[chunk.bytes.length === SMALL ? "small" : "large"];
  if (list.length < SPARE) list.push(chunk);
}
