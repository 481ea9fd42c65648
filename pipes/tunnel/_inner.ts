/** The programs' own connections: made so that they can be reset, which a program must not take for an end. */

import type { Clock } from "../../internal/clock.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import type { DialResolver } from "../../recover/dial.ts";
import { systemResolvers } from "../../recover/_resolve.ts";
import { formatPipeAddress } from "../address.ts";
import { connect } from "../connect.ts";
import { listen } from "../listen.ts";
import type { Pipe } from "../pipe.ts";
import type { PipeTransport } from "../_transport.ts";
import { formatTarget, type TunnelTarget } from "./target.ts";
import { isPublic } from "./tunnel_rules.ts";
import { canReset } from "./_can_reset.ts";

/** How a program is reached. */
export interface DialInnerOptions {
  /** Whether only public addresses of it will do. */
  readonly publicOnly?: boolean;
  /** For how many milliseconds to try. */
  readonly timeout: number;
  /** Calls it off. */
  readonly signal: AbortSignal;
  /** Source of time. */
  readonly clock: Clock;
}

/** What programs come to. */
export interface InnerListener {
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Who comes, one by one, until it is closed. */
  readonly pipes: AsyncIterable<Pipe>;
  /** Ends the listening. */
  close(): Promise<void>;
}

/** Connects to a program. */
export async function dialInner(target: TunnelTarget, options: DialInnerOptions): Promise<Pipe> {
  const { publicOnly = false, timeout, signal, clock } = options;
  const own = publicOnly ? { resolver: publicResolver(target.port), memory: dialMemory() } : {};
  const common = { timeout, signal, clock, retry: false, ...own } as const;
  return await connect(urlOf(target), { ...common, transports: await transports() });
}

/** Listens for programs. */
export async function listenInner(
  target: TunnelTarget,
  options: { readonly clock: Clock; readonly maxConnections: number },
): Promise<InnerListener> {
  const server = await listen(urlOf(target), { ...options, transports: await transports() });
  const addresses = server.addresses.map((address) => formatPipeAddress(address).replace("tcp://", ""));
  return { addresses, pipes: server as AsyncIterable<Pipe>, close: () => server.close() };
}

/** Node's part of the runtime is slower, and can reset without help. */
async function transports(): Promise<readonly PipeTransport[]> {
  return canReset() ? [] : [(await import("./_node_transport.ts")).nodeTransport];
}

function urlOf(target: TunnelTarget): string {
  return `tcp://${formatTarget(target)}`;
}

/** A name leads where its owner wants; what he may not reach is as if it were not there. */
function publicResolver(port: number): DialResolver {
  return async (hostname, type, options) => {
    for (const resolver of systemResolvers(hostname, port)) {
      const addresses = await resolver(hostname, type, options);
      if (addresses.length > 0) return addresses.filter(isPublic);
    }
    return [];
  };
}
