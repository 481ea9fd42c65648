/** Dials what its argument says, as a program of its own: `{"target": "...", "resolveTimeout": ...}`; writes one line of JSON. */

import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";

const { target, ...options } = JSON.parse(Deno.args[0] ?? "{}");
try {
  const { conn, address } = await dial(target, options);
  conn.close();
  console.log(JSON.stringify({ address }));
} catch (error) {
  if (!(error instanceof DialError)) throw error;
  console.log(JSON.stringify({ failure: error.failure.scenario, message: error.message }));
}
