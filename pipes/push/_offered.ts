/** What has a listener that can be offered to a successor, and how it is stopped here. */

import type { Server } from "node:net";
import type { Clock } from "../../internal/clock.ts";
import type { AdoptedListener } from "./_adopted_listener.ts";
import { findDescriptor } from "./_descriptor.ts";
import { detach } from "./_detach.ts";
import { describe, type Described, type End } from "./_pushable.ts";
import type { HttpServer } from "./serve_http.ts";
import { acceptingDescriptors, stopAccepting } from "./_stop_accepting.ts";

/** A listener, or a server that has one: the runtime's, Node's, or one of {@linkcode serveHttp}. */
export type OfferedListener =
  | Deno.TcpListener
  | Deno.UnixListener
  | Deno.HttpServer
  | Server
  | HttpServer
  | AdoptedListener;

/** A listener that is offered. */
export interface Offered {
  /** What it is called. */
  readonly name: string;
  /** Another descriptor of it. */
  readonly fd: number;
  /**
   * Stops accepting in the moment of the call, while the descriptor is open, and resolves when what was accepted is served, as
   * far as the server knows.
   */
  stop(): Promise<void>;
}

/**
 * Finds a listener's descriptor.
 *
 * @param name What it is called.
 * @param listener It.
 * @param options How many milliseconds clients of a server have for a request that is on its way.
 * @throws {PushError} `descriptor` where it is not found.
 */
export async function offered(
  name: string,
  listener: OfferedListener,
  { idle, clock }: { readonly idle: number; readonly clock: Clock },
): Promise<Offered> {
  const described = describeListener(listener);
  const { fd } = await findDescriptor(described);
  const accepting = "shutdown" in listener ? acceptingDescriptors(fd) : [];
  return {
    name,
    fd,
    async stop() {
      if ("shutdown" in listener) {
        if (stopAccepting(fd, accepting)) {
          await new Promise<void>((resolve) => void clock.after(idle, resolve, { ref: true }));
        }
        await listener.shutdown();
      } else if ("localAddress" in listener) await listener.close();
      else detach(described, fd, { way: null, own: null });
    },
  };
}

function describeListener(listener: OfferedListener): Described {
  // A server is found by where it listens, as is a listener that was adopted.
  const local: End | undefined = "localAddress" in listener
    ? endOf(listener.localAddress)
    : "shutdown" in listener
    ? endOf(listener.addr)
    : undefined;
  if (local === undefined) return describe(listener as Deno.TcpListener | Server);
  return {
    what: "listener",
    kind: "listener",
    socket: listener as unknown as Deno.TcpListener,
    local,
    remote: null,
  };
}

function endOf(address: Deno.Addr | AdoptedListener["localAddress"]): End {
  return "hostname" in address
    ? { hostname: address.hostname, port: address.port }
    : { path: "path" in address ? address.path ?? "" : "" };
}
