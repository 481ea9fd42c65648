/** `holdfast tunnel ACTION`. */

import type { Context } from "../spec.ts";
import { connectTunnel } from "../tunnel_connect.ts";
import { makeKey } from "../tunnel_key.ts";
import { checkTunnelOptions } from "../tunnel_options.ts";
import { openShell } from "../tunnel_ssh.ts";
import { showTunnels } from "../tunnel_status.ts";
import { runServer } from "../tunnel_serve.ts";

/** One of the actions. */
export async function run(context: Context): Promise<number> {
  const [action = "", ...rest] = context.args;
  checkTunnelOptions(action, rest, context.values);
  switch (action) {
    case "key":
      return await makeKey(rest[0] ?? "", context);
    case "serve":
      return await runServer(context);
    case "ssh":
      return await openShell(rest, context);
    case "status":
      return await showTunnels(context);
    default:
      return await connectTunnel(context);
  }
}
