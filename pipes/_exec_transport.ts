/** Pipes over a command's standard input and output. */

import { execBytes } from "../internal/exec_bytes.ts";
import { loggerOr } from "../internal/log.ts";
import type { PipeUrl } from "./address.ts";
import type { ConnectOptions } from "./connect.ts";
import { execLink } from "./_exec_link.ts";
import type { Dialer } from "./_link.ts";
import type { PipeTransport } from "./_transport.ts";

/** Carries `exec:`. */
export const execTransport: PipeTransport = {
  schemes: ["exec"],
  dial: dialerOf,
  listen: () => {
    throw new TypeError("Cannot listen on exec: a command is started by connect(), and nobody comes to it");
  },
};

function dialerOf(url: PipeUrl, options: ConnectOptions): Dialer {
  if (url.transport !== "exec") throw new TypeError(`Cannot use ${url.transport}: this carries exec: only`);
  const [command, ...args] = checkCommand(options.exec);
  const { clock, logger } = options;
  return ({ signal }) => {
    signal.throwIfAborted();
    const process = execBytes(command, {
      args,
      operation: "start the command",
      hint: "Install it, or give its path",
      onLine: (line) => loggerOr(logger).info(`${command} says`, line.replace(/\p{Cc}/gu, "?")),
      ...(clock ? { clock } : {}),
    });
    return Promise.resolve(execLink(process, { command, ...(clock ? { clock } : {}) }));
  };
}

function checkCommand(exec: unknown): readonly [command: string, ...args: string[]] {
  const fail = (why: string): TypeError => new TypeError(`Cannot connect: ${why}`);
  if (!Array.isArray(exec) || !exec.every((one) => typeof one === "string")) {
    throw fail('exec: needs the option exec, a list of texts, as in exec: ["ssh", "host", "agent"]');
  }
  if (exec[0] === undefined || exec[0] === "") throw fail("the option exec must begin with a program");
  // The arguments may hold secrets, and are not shown.
  const bad = exec.findIndex((one) => one.includes("\0"));
  if (bad !== -1) throw fail(`item ${bad} of the option exec has a NUL character`);
  return exec as [string, ...string[]];
}
