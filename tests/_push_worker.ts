/**
 * A process that takes pushed connections: each sends a number of bytes and expects their count and checksum.
 *
 * Arguments: the path; how many to take before it stops taking (all of them without).
 *
 * @module
 */

import { receive } from "../pipes/push/receive.ts";
import { serveOne } from "./_push_serve.ts";

const [path = "", most = "Infinity"] = Deno.args;
await using receiver = await receive(path, { window: 256 });
console.log("ready");
let taken = 0;
const iterator = receiver[Symbol.asyncIterator]();
while (taken < Number(most)) {
  const { done, value } = await iterator.next();
  if (done) break;
  taken++;
  if (value.kind === "stream") void serveOne(value.pipe);
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
