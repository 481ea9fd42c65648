/** Dials what its argument says, as a program of its own: `{"target": "...", "resolveTimeout": ...}`; writes one line of JSON. */

import { PermissionError } from "../../internal/errors.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";

const { target, ...options } = JSON.parse(Deno.args[0] ?? "{}");
try {
  const { conn, address } = await dial(target, options);
  conn.close();
  console.log(JSON.stringify({ address }));
} catch (error) {
  if (!(error instanceof DialError) && !(error instanceof PermissionError)) throw error;
  const { message } = error;
  console.log(
    JSON.stringify(
      error instanceof DialError ? { failure: error.failure.scenario, message } : { flags: error.flags },
    ),
  );
}
