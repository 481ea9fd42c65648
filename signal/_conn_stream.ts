/** A connection as a stream of Node, for libraries that want one. */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

/** Bytes are read into a buffer of this size. */
const READ_SIZE = 64 * 1024;

/**
 * Makes a stream, which owns the connection: destroying it closes that at once.
 *
 * @param conn The connection.
 * @param inspect Sees all bytes before anybody else; what it finds wrong with them ends the connection.
 */
export function connStream(
  conn: Deno.TcpConn | Deno.TlsConn,
  inspect: (bytes: Uint8Array) => string | null = () => null,
): Duplex {
  const buffer = new Uint8Array(READ_SIZE);
  const write = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  const stream: Duplex = new Duplex({
    read() {
      conn.read(buffer).then(
        (length) => {
          if (length === null) return void stream.push(null);
          const bytes = Buffer.from(buffer.subarray(0, length));
          const wrong = inspect(bytes);
          if (wrong === null) stream.push(bytes);
          else stream.destroy(new Error(`Cannot read from a connection: ${wrong}`));
        },
        (error) => stream.destroy(error),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      write(chunk).then(() => done(), done);
    },
    writev(chunks, done) {
      // All that has come together meanwhile goes out as one.
      write(Buffer.concat(chunks.map(({ chunk }) => chunk))).then(() => done(), done);
    },
    final(done) {
      conn.closeWrite().then(() => done(), () => done());
    },
    destroy(error, done) {
      try {
        conn.close();
      } catch {
        // The runtime has closed it already.
      }
      done(error);
    },
  });
  return stream;
}
