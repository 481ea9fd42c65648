/** Connecting from an address of this machine, or through one of its interfaces. */

import * as net from "node:net";
import { HoldfastError, isNotCapable, PermissionError } from "../internal/errors.ts";
import { libcNeed } from "../internal/ffi/libc.ts";
import { connectThrough } from "../internal/ffi/sockets_linux.ts";
import { flagsOf } from "../internal/permissions.ts";
import { familyOf } from "../recover/_address_sort.ts";
import { hostAddress } from "./_conn_link.ts";
import type { ConnectOptions, PipeVia } from "./connect.ts";
import type { Link } from "./_link.ts";
import { nodeLink } from "./_node_link.ts";
import { raceAddresses } from "./_race_addresses.ts";

/**
 * Connects over TCP.
 *
 * @param target Where to.
 * @param via The address to come from, or the interface to go through.
 * @param options What the user asked for.
 * @param signal Calls it off.
 * @throws {DialError} When no address could be reached.
 * @throws {PermissionError} Without the permission to bind to an interface.
 * @throws {HoldfastError} `unsupported` where there is no such thing.
 */
export async function connectVia(
  target: { readonly hostname: string; readonly port: number },
  via: PipeVia,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Link> {
  const { noDelay = true, clock, network, resolver } = options;
  return await raceAddresses({
    ...target,
    family: "address" in via ? familyOf(via.address) : options.family,
    clock,
    ...(network ? { network } : {}),
    ...(resolver ? { resolver } : {}),
    attempt: (one, signal) => connectOnce(one, via, noDelay, signal),
  }, signal);
}

async function connectOnce(
  target: { readonly hostname: string; readonly port: number },
  via: PipeVia,
  noDelay: boolean,
  signal: AbortSignal,
): Promise<Link> {
  const socket = "address" in via
    ? await fromAddress(target, via.address, signal)
    : await throughInterface(target, via.interface, signal);
  socket.setNoDelay(noDelay);
  const address = (hostname = "", port = 0) => hostAddress("tcp", { hostname, port });
  return nodeLink(socket, {
    transport: "tcp",
    localAddress: address(socket.localAddress, socket.localPort),
    remoteAddress: address(socket.remoteAddress ?? target.hostname, socket.remotePort ?? target.port),
  });
}

function fromAddress(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  localAddress: string,
  signal: AbortSignal,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = net.connect({ host: hostname, port, localAddress, allowHalfOpen: true });
    const over = (): void => {
      signal.removeEventListener("abort", abort);
      socket.off("error", failed);
    };
    const abort = (): void => {
      over();
      // Whatever it still says is no news.
      socket.on("error", () => {});
      socket.destroy();
      reject(signal.reason);
    };
    const failed = (error: Error): void => {
      over();
      reject(error);
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", failed);
    socket.once("connect", () => {
      over();
      resolve(socket);
    });
  });
}

async function throughInterface(
  target: { readonly hostname: string; readonly port: number },
  device: string,
  signal: AbortSignal,
): Promise<net.Socket> {
  const operation = `connect through "${device}"`;
  if (Deno.build.os !== "linux") {
    throw new HoldfastError(`Cannot ${operation}: ${Deno.build.os} has no call for it that is of use here`, {
      code: "unsupported",
      operation,
      hint: "Name an address of the interface instead, via: { address }",
    });
  }
  try {
    const fd = await connectThrough(target, { device, signal });
    return new net.Socket({ fd, allowHalfOpen: true, manualStart: true } as net.SocketConstructorOpts);
  } catch (error) {
    if (error instanceof PermissionError || isNotCapable(error)) {
      throw new PermissionError(operation, flagsOf([libcNeed()]), error);
    }
    throw error;
  }
}
