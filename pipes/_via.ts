/** Connecting from an address of this machine, or through one of its interfaces. */

import * as net from "node:net";
import { systemClock } from "../internal/clock.ts";
import { HoldfastError, isNotCapable, PermissionError } from "../internal/errors.ts";
import { libcNeed } from "../internal/ffi/libc.ts";
import { connectThrough } from "../internal/ffi/sockets_linux.ts";
import { parseIp } from "../internal/ip.ts";
import { flagsOf } from "../internal/permissions.ts";
import { familyOf, sortAddresses } from "../recover/_address_sort.ts";
import { failureOf } from "../recover/_dial_failure.ts";
import { gather } from "../recover/_gather.ts";
import { Race } from "../recover/_race.ts";
import { systemResolvers } from "../recover/_resolve.ts";
import { DialError, mostTelling } from "../recover/dial_error.ts";
import { TimeoutError } from "../recover/timeout.ts";
import { hostAddress } from "./_conn_link.ts";
import type { ConnectOptions, PipeVia } from "./connect.ts";
import type { Link } from "./_link.ts";
import { nodeLink } from "./_node_link.ts";

/** For how many milliseconds one address is tried. */
const ATTEMPT = 10_000;

/** After how many milliseconds the next one is tried beside it (RFC 8305 section 5). */
const DELAY = 250;

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
  const { hostname, port } = target;
  const { clock = systemClock, network, resolver, noDelay = true } = options;
  const family = "address" in via ? familyOf(via.address) : options.family;
  const started = clock.monotonic();
  const race = new Race<Link>({
    delay: DELAY,
    clock,
    sort: (addresses, last) =>
      sortAddresses(
        addresses,
        { family: family ?? 6, known: [] },
        last === undefined ? undefined : familyOf(last),
      ),
    discard: (link) => link.abort(),
    attempt: async ({ address }, signal) => {
      const late = new AbortController();
      const timer = clock.after(ATTEMPT, () => late.abort(new TimeoutError(ATTEMPT)), { ref: true });
      try {
        return await connectOnce(
          { hostname: address, port },
          via,
          noDelay,
          AbortSignal.any([signal, late.signal]),
        );
      } finally {
        timer.cancel();
      }
    },
  });
  const abort = (): void => race.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const stop = new AbortController();
  const looking = (async () => {
    if (parseIp(hostname.replace(/%.*$/, ""))) race.join([hostname]);
    else {
      await gather({
        hostname,
        clock,
        types: family === 4 ? ["A"] : family === 6 ? ["AAAA"] : ["AAAA", "A"],
        resolvers: resolver ? [resolver] : systemResolvers(hostname, port),
        resolutionDelay: 50,
        timeout: 3000,
        signal: stop.signal,
        found: (addresses) => race.join(addresses),
      });
    }
    race.complete();
  })().catch((error) => race.abort(error));
  try {
    if (signal.aborted) abort();
    const result = await race.result;
    if (result.won) return result.value;
  } finally {
    signal.removeEventListener("abort", abort);
    stop.abort();
    await looking;
  }
  const attempts = race.attempts.map(({ address, started: at, ended, error }) => ({
    address,
    family: familyOf(address),
    step: "connect" as const,
    started: at - started,
    ended: ended - started,
    outcome: "failed" as const,
    failure: failureOf(error, "connect", { network: network?.state, address, elapsed: ended - at }),
  }));
  const [refused] = race.attempts.flatMap(({ error }) => error instanceof HoldfastError ? [error] : []);
  const telling = mostTelling(attempts);
  if (refused && !(refused instanceof TimeoutError)) throw refused;
  if (telling) throw new DialError(`${hostname}:${port}`, telling, attempts);
  const none = new Deno.errors.NotFound(`${hostname} has no address${family ? ` of IPv${family}` : ""}`);
  throw new DialError(
    `${hostname}:${port}`,
    failureOf(none, "resolve", { network: network?.state, elapsed: clock.monotonic() - started }),
    [],
  );
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
