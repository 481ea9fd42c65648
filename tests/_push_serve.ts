/** The end of pushed connections: each sends a number of bytes and expects their count and checksum. */

import { crc32 } from "node:zlib";
import type { TcpPipe, UnixPipe } from "../pipes/pipe.ts";
import type { PushReceiver } from "../pipes/push/receive.ts";

/** Serves what comes, until the receiver is closed and all is served. */
export async function serveCrossing(receiver: PushReceiver): Promise<void> {
  const served: Promise<void>[] = [];
  for await (const received of receiver) {
    if (received.kind === "stream") served.push(serveOne(received.pipe));
  }
  await Promise.all(served);
}

/** Serves one. */
export async function serveOne(pipe: TcpPipe | UnixPipe): Promise<void> {
  let head = new Uint8Array(0);
  let expected: number | null = null;
  let count = 0;
  let sum = 0;
  while (expected === null || count < expected) {
    const chunk = await pipe.recv();
    if (chunk === null) break;
    let body = chunk;
    if (expected === null) {
      const all = new Uint8Array([...head, ...chunk.subarray(0, 8)]);
      if (head.length + chunk.length < 4) {
        head = all;
        continue;
      }
      expected = new DataView(all.buffer).getUint32(0);
      body = chunk.subarray(4 - head.length);
    }
    count += body.length;
    sum = crc32(body, sum);
  }
  await pipe.send(`${count} ${sum} ${Deno.pid}`);
  await pipe.close();
}
