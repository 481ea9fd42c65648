/** How the sessions of a tunnel's client are opened. */

import { retry } from "../../recover/retry.ts";
import { splitResume } from "../address.ts";
import type { ConnectOptions } from "../connect.ts";
import type { SessionSealOptions } from "../resume/session_options.ts";
import { given } from "./_given.ts";
import type { OpenTunnelOptions } from "./open_tunnel.ts";

/**
 * What `connect()` is told.
 *
 * @param options What the user asked for.
 * @throws {TypeError} Where that makes no sense.
 */
export function connectOptionsOf(options: OpenTunnelOptions): ConnectOptions {
  const { key, serverKeys, plain = false, timeout = 30_000 } = options;
  const { expiry = 3_600_000, window, keepalive, endpoints = [] } = options;
  const { network, proxy, tls, transports, exec, clock, logger } = options;
  const stop = (why: string): TypeError => new TypeError(`Cannot open a tunnel: ${why}`);
  if (!key && !plain) throw stop("without a key it must say plain: true");
  if (key && plain) throw stop("with a key it is not plain");
  if (key?.type === "pair" && !serverKeys?.length) {
    throw stop("a key pair needs serverKeys: who the server is");
  }
  const seal: SessionSealOptions | undefined = key && {
    ...(key.type === "pair" ? { identity: key } : { key }),
    ...(serverKeys ? { serverKeys } : {}),
  };
  return {
    ...given({ network, proxy, tls, transports, exec, clock, logger }),
    timeout,
    retry: retry({
      maxAttempts: 1000,
      deadline: timeout,
      operation: "connect",
      idempotent: true,
      ...given({ clock, network }),
    }),
    session: {
      ...{ expiry, plain },
      ...given({ seal, window, keepalive }),
      endpoints: endpoints.map((url) => `resume+${splitResume(url).rest}`),
    },
  };
}
