/** A server over UDP: whoever sends gets a link of its own, over the one socket that all share. */

import { type Clock, holdProcess, systemClock, type Timer } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { familyOf, isLinkLocal6 } from "../recover/_address_sort.ts";
import type { DialResolver } from "../recover/_gather.ts";
import { checkQueue, type QueueOptions } from "./_subscriptions.ts";
import { formatPipeAddress, type HostAddress, type PipeUrl } from "./address.ts";
import type { Link, LinkListener } from "./_link.ts";
import { canonical, endKey, isMulticast, onlyZone, zoneOf } from "./_udp_address.ts";
import { groupAddress, UdpGroup } from "./_udp_group.ts";
import { openFailed, rejoins, UdpLink, udpPlace } from "./_udp_link.ts";
import type { Budget } from "./_udp_queue.ts";
import { isIpText, lookUp } from "./_udp_resolve.ts";
import { UdpSocket } from "./_udp_socket.ts";
import { checkUdpOptions, type UdpListenOptions } from "./udp_options.ts";

/** What {@linkcode listenUdp} takes. */
export interface UdpListenerOptions {
  readonly udp?: UdpListenOptions | undefined;
  /** How many datagrams and bytes may wait per peer; the policy counts only for what lies behind. */
  readonly queue?: QueueOptions | undefined;
  /** Tells when a group is to be joined again. */
  readonly network?: NetworkView | undefined;
  readonly resolver?: DialResolver | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/** What accepts links over UDP. */
export interface UdpLinkListener extends LinkListener {
  /** How many peers there are, how many had to make room, and how many datagrams of new ones found none. */
  readonly peers: { readonly now: number; readonly evicted: number; readonly refused: number };
  /** Joins the group where addresses have come and gone; done by itself where a network was given. */
  rejoin(): void;
}

/** A peer. */
interface Peer {
  readonly link: UdpLink;
  /** When the last datagram came or went, on the monotonic clock. */
  used: number;
  /** Whether anything was sent to it; then what comes next shows that it is where it says. */
  answered: boolean;
  proven: boolean;
}

/**
 * Listens: the first datagram of a peer makes a link, and whatever it sends after that comes by this link, until one of
 * them ends it or nothing came or went for a while.
 *
 * A socket that is bound to no address of its own answers from the one that its route has, which is another one than was
 * asked on machines with several: listen on each there, as `on: "local"` does.
 *
 * Needs the permission `net` for the address and port that are bound, and for every peer that is answered; as nobody knows
 * their ports, that is their address, or all.
 *
 * @param url `udp://address:port`; port 0 is any, no address is every one of IPv4, a group's address takes part in the group.
 * @param options What the server is like.
 * @throws {PipeError} `listen` when that is not possible.
 * @throws {PermissionError} When the runtime forbids it.
 */
export async function listenUdp(
  url: string | URL | PipeUrl,
  options: UdpListenerOptions = {},
): Promise<UdpLinkListener> {
  const parsed = udpPlace(url, "listen");
  const operation = `listen on ${formatPipeAddress(parsed)}`;
  const { udp = {}, queue, signal } = options;
  checkUdpOptions(operation, udp);
  checkQueue(queue);
  signal?.throwIfAborted();
  let socket: UdpSocket | undefined;
  try {
    const address = await addressOf(parsed, options);
    socket = await UdpSocket.open({
      operation,
      address: isMulticast(address) ? groupAddress(address) : address,
      port: parsed.port,
      shared: isMulticast(address),
      broadcast: udp.broadcast ?? false,
    });
    signal?.throwIfAborted();
    return new UdpListener(socket, operation, address, options);
  } catch (error) {
    await socket?.close();
    throw openFailed("listen", operation, error, options);
  }
}

async function addressOf({ hostname, port }: HostAddress, options: UdpListenerOptions): Promise<string> {
  if (hostname === "") return "0.0.0.0";
  if (isIpText(hostname)) return canonical(hostname);
  const [address] = (await lookUp(hostname, port, options)).toSorted((a, b) => familyOf(a) - familyOf(b));
  if (address !== undefined) return address;
  throw new Deno.errors.NotFound(`"${hostname}" has no address`);
}

class UdpListener implements UdpLinkListener {
  readonly addresses: readonly HostAddress[];
  readonly #options: UdpListenerOptions;
  readonly #udp: UdpListenOptions;
  readonly #clock: Clock;
  readonly #idle: number;
  readonly #maxPeers: number;
  readonly #budget: Budget;
  readonly #socket: UdpSocket;
  readonly #watching: Disposable | undefined;
  readonly #group: UdpGroup | undefined;
  /** By end; the one unused for the longest time comes first. */
  readonly #peers = new Map<string, Peer>();
  readonly #waiting: Link[] = [];
  #accepting: ((link: Link | null) => void) | undefined;
  #timer: Timer | undefined;
  #evicted = 0;
  #refused = 0;
  #closing: Promise<void> | undefined;

  constructor(socket: UdpSocket, operation: string, address: string, options: UdpListenerOptions) {
    const { udp = {}, clock = systemClock, network } = options;
    const { maxPeers = 1024, idle = 300_000, memory = 16 * 1024 * 1024, multicast = {} } = udp;
    this.#options = options;
    this.#udp = udp;
    this.#clock = clock;
    this.#idle = idle;
    this.#maxPeers = maxPeers;
    this.#budget = { used: 0, limit: memory };
    this.#socket = socket;
    this.addresses = [socket.localAddress];
    if (isMulticast(address)) {
      this.#group = new UdpGroup(socket, { operation, group: address, join: true, multicast });
    }
    socket.receive = (data, from) => this.#receive(data, from);
    const group = this.#group;
    this.#watching = group && network?.subscribe((event) => rejoins(event) && group.rejoin());
  }

  get peers(): UdpLinkListener["peers"] {
    return { now: this.#peers.size, evicted: this.#evicted, refused: this.#refused };
  }

  rejoin(): void {
    this.#group?.rejoin();
  }

  accept(): Promise<Link | null> {
    const link = this.#waiting.shift();
    if (link || this.#closing) return Promise.resolve(link ?? null);
    const hold = holdProcess(this.#clock);
    return new Promise((resolve) => {
      this.#accepting = (link) => {
        this.#accepting = undefined;
        hold[Symbol.dispose]();
        resolve(link);
      };
    });
  }

  /**
   * Stops listening. The socket is the one that accepted links have, so it is closed, and its port free, when the last of
   * them is; this resolves at once where there are any.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#accepting?.(null);
    await Promise.all(this.#waiting.splice(0).map((link) => link.close()));
    await this.#finish("close");
  }

  #receive(data: Uint8Array<ArrayBuffer>, sender: HostAddress): void {
    const key = endKey(sender);
    const peer = this.#peers.get(key) ?? this.#meet(key, data, sender);
    if (!peer) return;
    peer.proven ||= peer.answered;
    this.#use(key, peer);
    peer.link.deliver(data, sender);
  }

  /** Makes a peer of a sender that is none yet. */
  #meet(
    key: string,
    data: Uint8Array<ArrayBuffer>,
    sender: HostAddress,
  ): Peer | undefined {
    if (this.#closing || (data.length === 0 && this.#udp.keepAlive !== undefined)) return undefined;
    if (this.#peers.size >= this.#maxPeers && !this.#makeRoom()) return undefined;
    const link = new UdpLink({
      socket: this.#socket,
      remote: this.#zoned(sender),
      udp: this.#udp,
      queue: this.#options.queue,
      budget: this.#budget,
      clock: this.#clock,
      anyone: false,
      sent: () => {
        peer.answered = true;
        if (this.#peers.get(key) === peer) this.#use(key, peer);
      },
      release: (how) => this.#leave(key, peer, how),
    });
    const peer: Peer = { link, used: 0, answered: false, proven: false };
    this.#peers.set(key, peer);
    if (this.#accepting) this.#accepting(link);
    else this.#waiting.push(link);
    return peer;
  }

  /** A link-local sender, whose link the runtime does not tell, is answered where there is but one such link. */
  #zoned(sender: HostAddress): HostAddress {
    const { hostname } = sender;
    if (!isLinkLocal6(hostname) || zoneOf(hostname) !== undefined) return sender;
    const zone = onlyZone();
    return zone === undefined ? sender : { ...sender, hostname: `${hostname}%${zone}` };
  }

  /** Ends the peer that is least likely to be missed: forged senders never get our answers, so never follow up on them. */
  #makeRoom(): boolean {
    for (const [key, peer] of this.#peers) {
      if (peer.proven) continue;
      this.#drop(key, peer);
      this.#evicted++;
      return true;
    }
    this.#refused++;
    return false;
  }

  #use(key: string, peer: Peer): void {
    peer.used = this.#clock.monotonic();
    this.#peers.delete(key);
    this.#peers.set(key, peer);
    this.#timer ??= this.#clock.after(this.#idle, () => this.#sweep());
  }

  /** Ends those that were not used for too long, and comes back for the next one. */
  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (const [key, peer] of this.#peers) {
      const left = peer.used + this.#idle - now;
      if (left > 0) {
        this.#timer = this.#clock.after(left, () => this.#sweep());
        return;
      }
      this.#drop(key, peer);
    }
  }

  /** Ends a peer: who reads gets what waits, and then the end. */
  #drop(key: string, peer: Peer): void {
    this.#peers.delete(key);
    peer.link.end();
    const at = this.#waiting.indexOf(peer.link);
    // Nobody has seen it yet, so nobody will miss it.
    if (at >= 0) this.#waiting.splice(at, 1);
    if (at >= 0) peer.link.abort();
    void this.#finish("abort");
  }

  /** Called when a link is closed. */
  #leave(key: string, peer: Peer, how: "close" | "abort"): Promise<void> | void {
    if (this.#peers.get(key) === peer) this.#peers.delete(key);
    return this.#finish(how);
  }

  /** Lets go of the socket where the last link is gone and no new one can come. */
  #finish(how: "close" | "abort"): Promise<void> | void {
    if (this.#peers.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#closing) return;
    this.#watching?.[Symbol.dispose]();
    return this.#socket[how]();
  }
}
