/** Run under Wine: the readiness gate over made-up tables, and its tools on what Wine has. Prints what came of it. */

import { systemTools } from "../../recover/_ready_tools.ts";
import { ready } from "../../recover/ready.ts";
import { foundingFailure } from "../_windows_gate.ts";

const { signal } = new AbortController();
using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const { port } = listener.addr as Deno.NetAddr;
await systemTools.provoke("127.0.0.1");
const target = await ready(undefined, { target: `127.0.0.1:${port}`, timeout: 30_000 });
console.log(JSON.stringify({
  os: Deno.build.os,
  founding: await foundingFailure(),
  knock: await systemTools.knock("127.0.0.1", signal),
  reached: target.address === `127.0.0.1:${port}`,
}));
