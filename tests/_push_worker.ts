/**
 * A process that takes pushed connections: each sends a number of bytes and expects their count and checksum.
 *
 * Arguments: the path; how many to take before it stops taking (all of them without).
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { receive } from "../pipes/push/receive.ts";
import type { TcpPipe, UnixPipe } from "../pipes/pipe.ts";

const [path = "", most = "Infinity"] = Deno.args;
await using receiver = await receive(path, { window: 256 });
console.log("ready");
let taken = 0;
const iterator = receiver[Symbol.asyncIterator]();
while (taken < Number(most)) {
  const { done, value } = await iterator.next();
  if (done) break;
  taken++;
  if (value.kind === "stream") void serve(value.pipe);
}
console.log("full");
// Reads on, and takes nothing: what is pushed now is in flight.
const told = setInterval(() => {
  if (receiver.waiting < 50) return;
  console.log("in flight");
  clearInterval(told);
}, 5);
// Until whoever started it has gone.
await new Response(Deno.stdin.readable).arrayBuffer();
Deno.exit();

async function serve(pipe: TcpPipe | UnixPipe): Promise<void> {
  try {
    let expected: number | null = null;
    let head = new Uint8Array(0);
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
  } catch (error) {
    console.error("worker:", error);
  }
}
