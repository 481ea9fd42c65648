/** A way for datagrams through trouble: a link between clients and a server that loses, doubles and reorders them. */

import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { type Clock, systemClock } from "../internal/clock.ts";
import { parseTarget } from "../recover/_target.ts";
import { byDirection, type UdpChaosFaults, type UdpChaosLaneFaults } from "./chaos_faults.ts";
import { parseListen } from "./_chaos_listen.ts";
import { type Counts, UdpChaosLane } from "./_udp_chaos_lane.ts";
import { seeded } from "./_seeded.ts";

/** How a {@linkcode UdpChaosLink} is set up. */
export interface UdpChaosLinkOptions {
  /** Where it leads: `host:port`, an IPv6 address in brackets. */
  readonly target: string;
  /**
   * Where it listens: an IP address and a port, 0 for one that is free.
   *
   * @default {"127.0.0.1:0"}
   */
  readonly listen?: string;
  /**
   * What happens in the beginning.
   *
   * @default {{}}
   */
  readonly faults?: UdpChaosFaults;
  /**
   * Where chance begins; the same faults happen with the same seed.
   *
   * @default {1}
   */
  readonly seed?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** What happened to datagrams in one direction. */
export interface UdpChaosCounts {
  /** How many came. */
  readonly received: number;
  /** How many went on, doubles among them. */
  readonly sent: number;
  /** How many were lost on purpose; above 1024 on the way at once also those that found no room. */
  readonly lost: number;
  /** How many came twice. */
  readonly duplicated: number;
  /** How many were overtaken by the next one. */
  readonly reordered: number;
}

/** A running link. */
export interface UdpChaosLink extends AsyncDisposable {
  /** The IP address it listens on. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** Both as `host:port`. */
  readonly address: string;
  /** What happens now. */
  readonly faults: UdpChaosFaults;
  /** How many clients it knows; of more than 256 the one that was quiet for longest is forgotten. */
  readonly clients: number;
  /** What has happened, by direction: `up` is from the client to the target. */
  readonly counts: { readonly up: UdpChaosCounts; readonly down: UdpChaosCounts };
  /**
   * Changes what happens, to datagrams that come from now on.
   *
   * @param faults All the faults from now on; `{}` heals the link.
   * @throws {RangeError} When a number makes no sense.
   */
  setFaults(faults: UdpChaosFaults): void;
  /** Stops; what is on the way is lost. Safe twice. */
  close(): Promise<void>;
}

/**
 * Starts a link for UDP between clients and a target: send to its port instead of the target's, and make trouble. Each client
 * has a port of its own towards the target, as behind a router, so that the answers find him.
 *
 * Needs the permission `net` for both addresses.
 *
 * @param options Where it leads and listens, and what happens.
 * @returns The link, listening.
 *
 * @example
 * ```ts
 * import { startUdpChaosLink } from "@holdfast/net/testing";
 * import { connect, listen } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await listen("udp://127.0.0.1:0");
 * const target = server.url.replace("udp://", "");
 * await using link = await startUdpChaosLink({ target, faults: { duplicate: 1 } });
 * await using pipe = await connect(`udp://${link.address}`);
 * await pipe.send("hello");
 * for await (const client of server) {
 *   assertEquals(await client.recv(), await client.recv());
 *   await client.close();
 *   break;
 * }
 * ```
 */
export async function startUdpChaosLink(options: UdpChaosLinkOptions): Promise<UdpChaosLink> {
  const target = parseTarget(options.target);
  const { address, family } = await lookup(target.hostname);
  const link = new Link(options, { hostname: address, port: target.port, family: family === 6 ? 6 : 4 });
  await link.listen(parseListen(options.listen ?? "127.0.0.1:0"));
  return link;
}

/** How many clients may be known. */
const CLIENTS = 256;

interface Endpoint {
  readonly hostname: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** A client: its own socket towards the target, and both its lanes. */
interface Client {
  readonly socket: Socket;
  readonly up: UdpChaosLane;
  readonly down: UdpChaosLane;
}

class Link implements UdpChaosLink {
  readonly #options: UdpChaosLinkOptions;
  readonly #target: Endpoint;
  readonly #random: () => number;
  readonly #clients = new Map<string, Client>();
  readonly #counts = { up: noCounts(), down: noCounts() };
  #socket: Socket | undefined;
  #faults: UdpChaosFaults;
  #each: { readonly up: UdpChaosLaneFaults; readonly down: UdpChaosLaneFaults };
  #closed: Promise<void> | undefined;
  hostname = "";
  port = 0;

  constructor(options: UdpChaosLinkOptions, target: Endpoint) {
    this.#options = options;
    this.#target = target;
    this.#random = seeded(options.seed ?? 1);
    this.#faults = options.faults ?? {};
    this.#each = byDirection<UdpChaosLaneFaults>(this.#faults);
  }

  get address(): string {
    return this.hostname.includes(":") ? `[${this.hostname}]:${this.port}` : `${this.hostname}:${this.port}`;
  }

  get faults(): UdpChaosFaults {
    return this.#faults;
  }

  get clients(): number {
    return this.#clients.size;
  }

  get counts(): { readonly up: UdpChaosCounts; readonly down: UdpChaosCounts } {
    return { up: { ...this.#counts.up }, down: { ...this.#counts.down } };
  }

  listen({ hostname, port }: { readonly hostname: string; readonly port: number }): Promise<void> {
    const socket = this.#socket = createSocket(hostname.includes(":") ? "udp6" : "udp4");
    socket.on(
      "message",
      (datagram, { address, port }) => this.#clientOf(address, port).up.take(copy(datagram)),
    );
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(port, hostname, () => {
        socket.off("error", reject);
        // A client that has gone is not the link's trouble.
        socket.on("error", () => {});
        const bound = socket.address();
        this.hostname = bound.address;
        this.port = bound.port;
        resolve();
      });
    });
  }

  setFaults(faults: UdpChaosFaults): void {
    this.#each = byDirection<UdpChaosLaneFaults>(faults);
    this.#faults = faults;
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const sockets = [this.#socket, ...[...this.#clients.values()].map(({ socket }) => socket)];
    for (const { up, down } of this.#clients.values()) [up, down].forEach((lane) => lane.stop());
    this.#clients.clear();
    await Promise.all(sockets.map((socket) => socket && closed(socket)));
  }

  #clientOf(address: string, port: number): Client {
    const key = `${address} ${port}`;
    const known = this.#clients.get(key);
    const client = known ?? this.#newClient(address, port);
    // The one that was heard of last stands last.
    this.#clients.delete(key);
    this.#clients.set(key, client);
    if (!known && this.#clients.size > CLIENTS) this.#forgetOne();
    return client;
  }

  #forgetOne(): void {
    const [first] = this.#clients;
    if (!first) return;
    const [key, { socket, up, down }] = first;
    this.#clients.delete(key);
    [up, down].forEach((lane) => lane.stop());
    void closed(socket);
  }

  #newClient(address: string, port: number): Client {
    const target = this.#target;
    const socket = createSocket(target.family === 6 ? "udp6" : "udp4");
    const up = this.#lane("up", (datagram) => send(socket, datagram, target));
    const down = this.#lane("down", (datagram) => send(this.#socket, datagram, { hostname: address, port }));
    socket.on("error", () => {});
    socket.on("message", (datagram, from) => {
      // Whoever else finds the port has nothing to say on it.
      if (from.port === target.port) down.take(copy(datagram));
    });
    return { socket, up, down };
  }

  #lane(direction: "up" | "down", send: (datagram: Uint8Array) => Promise<void>): UdpChaosLane {
    const { clock = systemClock } = this.#options;
    const [counts, random] = [this.#counts[direction], this.#random];
    return new UdpChaosLane({ faults: () => this.#each[direction], clock, random, counts, send });
  }
}

function noCounts(): Counts {
  return { received: 0, sent: 0, lost: 0, duplicated: 0, reordered: 0 };
}

/** Sends, unless the link is closed; that nobody is there is a loss like others. */
function send(
  socket: Socket | undefined,
  datagram: Uint8Array,
  { hostname, port }: Pick<Endpoint, "hostname" | "port">,
): Promise<void> {
  return new Promise((resolve) => {
    try {
      if (socket) socket.send(datagram, port, hostname, () => resolve());
      else resolve();
    } catch {
      // It was closed meanwhile.
      resolve();
    }
  });
}

/** The runtime may use its memory again. */
function copy(datagram: Uint8Array): Uint8Array {
  return new Uint8Array(datagram);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
