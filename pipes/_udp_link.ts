/** One end of a pipe over UDP: a peer, or whoever sends. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import type { NetworkView, NetworkViewEvent } from "../internal/network_view.ts";
import { classify } from "../recover/classify.ts";
import type { DialResolver } from "../recover/_gather.ts";
import { familyOf } from "../recover/_address_sort.ts";
import { checkQueue, type QueueOptions } from "./_subscriptions.ts";
import { formatPipeAddress, type HostAddress, parsePipeUrl, type PipeUrl } from "./address.ts";
import type { Link } from "./_link.ts";
import { PipeError } from "./pipe_error.ts";
import { endKey, isMulticast, needsZone, type UdpVia, withoutZone, zoneOf } from "./_udp_address.ts";
import { groupAddress, UdpGroup } from "./_udp_group.ts";
import { type Budget, DatagramQueue } from "./_udp_queue.ts";
import { resolveUdp } from "./_udp_resolve.ts";
import { UdpSocket } from "./_udp_socket.ts";
import { checkUdpOptions, MAX_DATAGRAM, type UdpConnectOptions, type UdpOptions } from "./udp_options.ts";

/** What {@linkcode openUdpLink} takes. */
export interface UdpLinkOptions {
  readonly udp?: UdpConnectOptions | undefined;
  readonly via?: UdpVia | undefined;
  /** The only family to use. */
  readonly family?: 4 | 6 | undefined;
  /** How many datagrams and bytes may wait; the policy counts only for what lies behind. */
  readonly queue?: QueueOptions | undefined;
  /** Chooses between families, and tells when a group is to be joined again. */
  readonly network?: NetworkView | undefined;
  /** Looks names up. */
  readonly resolver?: DialResolver | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** What both kinds of ends are made of. */
export interface UdpLinkParts {
  readonly socket: UdpSocket;
  readonly remote: HostAddress;
  readonly udp: UdpOptions;
  readonly queue: QueueOptions | undefined;
  readonly budget?: Budget;
  readonly clock: Clock;
  /** Whether several senders are heard, so that each datagram's own counts. */
  readonly anyone: boolean;
  /** Called after each datagram that was sent. */
  readonly sent?: () => void;
  /** Lets go of what lies below, at once or so that its port is free afterwards. */
  readonly release: (how: "close" | "abort") => Promise<void> | void;
}

/**
 * Opens an end that speaks to one address: a peer's, a group's, or a broadcast address.
 *
 * Needs the permission `net` for the address that is bound (`0.0.0.0:0` or `[::]:0`, or what `via.address` says; one that
 * joins a group binds the group's address and port) and for the address and port that it sends to.
 *
 * A datagram that cannot be sent now is lost as any datagram may be, and told; the end lives on, for that clears by itself
 * when the network is back. It ends by itself only where the runtime forbids to send.
 *
 * @param url `udp://host:port`.
 * @param options What the end is like.
 * @throws {PipeError} `connect` when the name has no address, or nothing could be bound.
 * @throws {PermissionError} When the runtime forbids it.
 */
export async function openUdpLink(url: string | URL | PipeUrl, options: UdpLinkOptions = {}): Promise<Link> {
  const parsed = udpPlace(url, "connect");
  const operation = `connect to ${formatPipeAddress(parsed)}`;
  const { udp = {}, via = {}, clock = systemClock, network, queue, signal } = options;
  checkUdpOptions(operation, udp);
  checkQueue(queue);
  signal?.throwIfAborted();
  const remote = await resolveUdp(parsed, operation, options).catch((error) => {
    throw openFailed("connect", operation, error, { ...options, step: "resolve" });
  });
  const { hostname, port } = remote;
  const isGroup = isMulticast(hostname);
  const join = isGroup && udp.multicast?.join === true;
  const broadcast = udp.broadcast ?? hostname === "255.255.255.255";
  let socket: UdpSocket | undefined;
  try {
    socket = await UdpSocket.open({
      operation,
      address: join ? groupAddress(hostname) : via.address ?? (familyOf(hostname) === 6 ? "::" : "0.0.0.0"),
      port: join ? port : 0,
      shared: join,
      broadcast,
      // A group and a link have their own ways to name an interface.
      device: isGroup || needsZone(hostname) ? undefined : via.interface,
    });
    signal?.throwIfAborted();
    const multicast = udp.multicast ?? {};
    const group = isGroup
      ? new UdpGroup(socket, { operation, group: hostname, join, multicast, via })
      : undefined;
    return connected(socket, group, remote, {
      udp,
      queue,
      clock,
      network,
      anyone: udp.anyone ?? (isGroup || broadcast),
    });
  } catch (error) {
    await socket?.close();
    throw openFailed("connect", operation, error, options);
  }
}

function connected(
  socket: UdpSocket,
  group: UdpGroup | undefined,
  remote: HostAddress,
  { network, ...parts }:
    & Pick<UdpLinkParts, "udp" | "queue" | "clock" | "anyone">
    & Pick<UdpLinkOptions, "network">,
): UdpLink {
  const watching = group && network?.subscribe((event) => rejoins(event) && group.rejoin());
  const link = new UdpLink({
    ...parts,
    socket,
    remote,
    release: (how) => {
      watching?.[Symbol.dispose]();
      return socket[how]();
    },
  });
  const peer = endKey(remote);
  socket.receive = (data, from) => {
    if (parts.anyone || endKey(from) === peer) link.deliver(data, from);
  };
  return link;
}

/** The place that a URL of UDP names. */
export function udpPlace(url: string | URL | PipeUrl, use: "connect" | "listen"): HostAddress {
  const place = typeof url === "string" || url instanceof URL ? parsePipeUrl(url, use) : url;
  if (place.transport === "udp") return place;
  throw new TypeError(`Cannot ${use}: a udp: address is needed, got ${formatPipeAddress(place)}`);
}

/** Whether a group should be joined again after an event. */
export function rejoins({ type }: NetworkViewEvent): boolean {
  return ["addressadd", "addressremove", "interfaceadd", "interfacechange", "wake", "resync"].includes(type);
}

/** What opening throws: a caller's mistake, a missing permission and the signal's reason as they are. */
export function openFailed(
  code: "connect" | "listen",
  operation: string,
  error: unknown,
  { signal, network, step = "listen" }: Pick<UdpLinkOptions, "signal" | "network"> & {
    /** What failed: the name, or what is bound. */
    readonly step?: "resolve" | "listen";
  },
): unknown {
  const asItIs = error instanceof PermissionError || error instanceof PipeError ||
    error instanceof TypeError || error instanceof RangeError;
  if (asItIs || signal?.aborted) return error;
  const failure = classify(error, { operation: step, network: network?.state });
  const { message, hint = failure.hint } = error as Error & { readonly hint?: string };
  const text = message.startsWith("Cannot ") ? message : `Cannot ${operation}: ${message}`;
  return new PipeError(text, { code, operation, failure, cause: error, hint });
}

/** An end. */
export class UdpLink implements Link {
  readonly transport = "udp";
  readonly unit = "message";
  readonly halfClose = false;
  readonly maxMessage: number;
  readonly remoteAddress: HostAddress;
  readonly #parts: UdpLinkParts;
  readonly #queue: DatagramQueue;
  #from: HostAddress | undefined;
  #closing: Promise<void> | undefined;
  /** Whether the system took the last datagram; unknown before the first. */
  #works: boolean | undefined;
  #known = false;
  #keepAlive: Timer | undefined;
  onTrouble: ((error: unknown) => void) | undefined;

  constructor(parts: UdpLinkParts) {
    const { messages, bytes } = checkQueue(parts.queue);
    this.#parts = parts;
    this.remoteAddress = parts.remote;
    this.maxMessage = parts.udp.maxDatagram ?? MAX_DATAGRAM;
    this.#queue = new DatagramQueue({ messages, bytes, budget: parts.budget }, parts.clock);
    this.#stayAlive();
  }

  get localAddress(): HostAddress {
    return this.#parts.socket.localAddress;
  }

  get lastFrom(): HostAddress {
    return this.#from ?? this.remoteAddress;
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Takes a datagram that arrived. */
  deliver(data: Uint8Array<ArrayBuffer>, from: HostAddress): void {
    if (data.length === 0 && this.#parts.udp.keepAlive !== undefined) return;
    this.#queue.push({ data, from });
  }

  /** The other end is taken for gone: what waits can still be read. */
  end(): void {
    this.#keepAlive?.cancel();
    this.#queue.end();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const datagram = await this.#queue.read();
    if (datagram && this.#parts.anyone) this.#from = datagram.from;
    return datagram && datagram.data;
  }

  async write(data: Uint8Array): Promise<void | false> {
    const { socket, remote } = this.#parts;
    try {
      await socket.send(data, remote, this.#known);
      this.#known = true;
      this.#works = true;
      this.#parts.sent?.();
    } catch (error) {
      if (error instanceof PermissionError || socket.isClosed) {
        // Nothing would ever come of it again, and nobody else would tell those who read.
        this.#queue.fail(error);
        throw error;
      }
      const told = this.#works === false;
      this.#works = false;
      // Once until it works again: nobody wants to hear of each.
      if (!told) this.onTrouble?.(this.#trouble(data, error));
      return false;
    } finally {
      this.#stayAlive();
    }
  }

  async closeWrite(): Promise<void> {}

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  abort(): void {
    if (!this.#closing) void this.#parts.release("abort");
    this.#closing ??= Promise.resolve();
    this.#keepAlive?.cancel();
    this.#queue.fail(new Deno.errors.Interrupted("the socket was closed"));
  }

  async #close(): Promise<void> {
    this.#keepAlive?.cancel();
    await this.#parts.release("close");
    this.#queue.fail(new Deno.errors.Interrupted("the socket was closed"));
  }

  #trouble(data: Uint8Array, error: unknown): PipeError {
    const { hostname } = this.remoteAddress;
    const failure = classify(error, { operation: "send", remoteAddress: hostname });
    const lost = needsZone(hostname) && zoneOf(hostname) === undefined;
    const why = lost
      ? `${withoutZone(hostname)} is on every link, and nobody knows on which one`
      : `the system does not take it now (${error instanceof Error ? error.message : String(error)})`;
    const where = formatPipeAddress(this.remoteAddress);
    return new PipeError(`Cannot send a datagram of ${data.length} bytes to ${where}: ${why}`, {
      code: "send",
      operation: "send",
      failure,
      cause: error,
      hint: failure.hint,
    });
  }

  /** Sends nothing at all when it is time to, and nothing else was sent. */
  #stayAlive(): void {
    const { socket, remote, udp: { keepAlive }, clock } = this.#parts;
    this.#keepAlive?.cancel();
    if (keepAlive === undefined || this.#closing) return;
    this.#keepAlive = clock.after(keepAlive, () => {
      // One that is lost is followed by another.
      socket.send(new Uint8Array(0), remote, this.#known).catch(() => {});
      this.#stayAlive();
    });
  }
}
