/** A link of bytes as a stream of Node, for libraries that want one. */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { Link } from "./_link.ts";

/** An idle connection waits with a buffer of this size; one that is busy reads up to the other. */
const [SMALL, LARGE] = [512, 64 * 1024];

/**
 * Makes a stream, which owns the link: destroying it ends the link at once, unless all was written and our direction closed.
 *
 * @param link A link of bytes.
 */
export function linkStream(link: Link): Duplex {
  let size = SMALL;
  const stream: Duplex = new Duplex({
    read() {
      link.read(new Uint8Array(size)).then((chunk) => {
        if (chunk === null) return void stream.push(null);
        const { length } = chunk;
        size = length === size ? Math.min(LARGE, size * 8) : length <= SMALL ? SMALL : size;
        stream.push(Buffer.from(chunk.buffer, chunk.byteOffset, length));
      }).catch((error) => stream.destroy(error));
    },
    write(chunk: Uint8Array, _encoding, done) {
      link.write(chunk).then(() => done(), done);
    },
    writev(chunks, done) {
      // The head of a message and the message itself go out together.
      link.write(Buffer.concat(chunks.map(({ chunk }) => chunk))).then(() => done(), done);
    },
    final(done) {
      link.closeWrite().then(() => done(), done);
    },
    destroy(error, done) {
      if (error || !stream.writableFinished) {
        link.abort();
        done(error);
      } else {
        // What was written last, for example why there will be no more, must not be lost by a reset.
        link.close().then(() => done(null), done);
      }
    },
  });
  return stream;
}
