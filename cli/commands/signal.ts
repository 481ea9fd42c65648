/** `holdfast signal ACTION`. */

import { runBroker } from "../signal_broker.ts";
import { makeOrShowIdentity } from "../signal_identity.ts";
import { runListen } from "../signal_listen.ts";
import { checkSignalOptions } from "../signal_options.ts";
import { runSend } from "../signal_send.ts";
import { showBrokers } from "../signal_status.ts";
import type { Context } from "../spec.ts";

/** One of the actions. */
export async function run(context: Context): Promise<number> {
  const [action = "", ...rest] = context.args;
  checkSignalOptions(action, rest, context.values);
  switch (action) {
    case "identity":
      return await makeOrShowIdentity(rest[0] ?? "", context);
    case "listen":
      return await runListen(context);
    case "send":
      return await runSend(context);
    case "status":
      return await showBrokers(context);
    default:
      return await runBroker(context);
  }
}
