/** A TCP connection's way through trouble: a link between clients and a server, with faults that can be changed at any time. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { parseTarget } from "../recover/_target.ts";
import { ChaosLane } from "./_chaos_lane.ts";
import { byDirection, type ChaosFaults, type ChaosLaneFaults } from "./chaos_faults.ts";
import { parseListen } from "./_chaos_listen.ts";
import { seeded } from "./_seeded.ts";

/** How a {@linkcode ChaosLink} is set up. */
export interface ChaosLinkOptions {
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
  readonly faults?: ChaosFaults;
  /**
   * Where chance begins; the same faults happen with the same seed.
   *
   * @default {1}
   */
  readonly seed?: number;
  /**
   * How many bytes of one direction of one connection the link takes before it holds the sender back. Besides them the
   * systems of all three hold some.
   *
   * @default {1024 * 1024}
   */
  readonly buffer?: number;
  /**
   * Source of time.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** What passed in one direction of all connections. */
export interface ChaosCounts {
  /** How many bytes. */
  readonly bytes: number;
  /** In how many pieces. */
  readonly pieces: number;
}

/** A running link. */
export interface ChaosLink extends AsyncDisposable {
  /** The IP address it listens on. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** Both as `host:port`. */
  readonly address: string;
  /** What happens now. */
  readonly faults: ChaosFaults;
  /** How many connections it has accepted so far. */
  readonly connections: number;
  /** How many of them are open. */
  readonly open: number;
  /** What has passed, by direction: `up` is from the client to the target. */
  readonly counts: { readonly up: ChaosCounts; readonly down: ChaosCounts };
  /**
   * Changes what happens, also on the connections that are open. What waits for a latency goes out when it would have.
   *
   * @param faults All the faults from now on; `{}` heals the link.
   * @throws {RangeError} When a number makes no sense.
   */
  setFaults(faults: ChaosFaults): void;
  /**
   * Cuts all connections that are open, at both ends.
   *
   * @param how By an end, as if the programs had closed them, or by a reset.
   */
  cut(how: "end" | "reset"): void;
  /**
   * Waits for connections.
   *
   * @param count How many, counted from the start of the link.
   * @returns Resolves when there have been that many; rejects when the link is closed before.
   */
  connected(count: number): Promise<void>;
  /** Stops listening, and cuts all connections; safe twice. */
  close(): Promise<void>;
}

/**
 * Starts a link for TCP between clients and a target: connect to its port instead of the target's, and make trouble.
 *
 * Needs the permission `net` for both addresses.
 *
 * @param options Where it leads and listens, and what happens.
 * @returns The link, listening.
 *
 * @example
 * ```ts
 * import { startChaosLink } from "@holdfast/net/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello"));
 * const target = `127.0.0.1:${server.addr.port}`;
 * await using link = await startChaosLink({ target, faults: { latency: 20, slice: 10 } });
 * using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
 * assertEquals(await (await fetch(`http://${link.address}/`, { client })).text(), "hello");
 *
 * link.setFaults({ down: { resetAfter: 20 } });
 * await assertRejects(() => fetch(`http://${link.address}/`, { client }), TypeError);
 * ```
 */
export async function startChaosLink(options: ChaosLinkOptions): Promise<ChaosLink> {
  const { listen = "127.0.0.1:0" } = options;
  const link = new Link(options);
  await link.listen(parseListen(listen));
  return link;
}

type Direction = "up" | "down";

/** One connection through the link. */
interface Passage {
  readonly ends: readonly Socket[];
  readonly lanes: readonly ChaosLane[];
  cut(how: "end" | "reset"): void;
}

class Link implements ChaosLink {
  readonly #options: ChaosLinkOptions;
  readonly #target: { readonly hostname: string; readonly port: number };
  readonly #server: Server;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #passages = new Set<Passage>();
  readonly #waiting = new Set<{ count: number; resolve: () => void; reject: (error: Error) => void }>();
  readonly #counts = { up: { bytes: 0, pieces: 0 }, down: { bytes: 0, pieces: 0 } };
  #faults: ChaosFaults;
  #each: { readonly up: ChaosLaneFaults; readonly down: ChaosLaneFaults };
  #closed: Promise<void> | undefined;
  connections = 0;
  hostname = "";
  port = 0;

  constructor(options: ChaosLinkOptions) {
    this.#options = options;
    this.#target = parseTarget(options.target);
    this.#clock = options.clock ?? systemClock;
    this.#random = seeded(options.seed ?? 1);
    this.#faults = options.faults ?? {};
    this.#each = byDirection<ChaosLaneFaults>(this.#faults);
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true },
      (client) => this.#take(client),
    );
  }

  get address(): string {
    return this.hostname.includes(":") ? `[${this.hostname}]:${this.port}` : `${this.hostname}:${this.port}`;
  }

  get faults(): ChaosFaults {
    return this.#faults;
  }

  get open(): number {
    return this.#passages.size;
  }

  get counts(): { readonly up: ChaosCounts; readonly down: ChaosCounts } {
    return { up: { ...this.#counts.up }, down: { ...this.#counts.down } };
  }

  listen({ hostname, port }: { readonly hostname: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: hostname, port }, () => {
        this.#server.off("error", reject);
        const address = this.#server.address();
        if (address === null || typeof address === "string") return;
        this.hostname = address.address;
        this.port = address.port;
        resolve();
      });
    });
  }

  setFaults(faults: ChaosFaults): void {
    this.#each = byDirection<ChaosLaneFaults>(faults);
    this.#faults = faults;
    for (const { lanes } of this.#passages) lanes.forEach((lane) => lane.refresh());
  }

  cut(how: "end" | "reset"): void {
    for (const passage of [...this.#passages]) passage.cut(how);
  }

  connected(count: number): Promise<void> {
    if (this.connections >= count) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ count, resolve, reject }));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { count, reject } of this.#waiting) {
      const why = `Cannot wait for ${count} connections: the chaos link is closed`;
      reject(new HoldfastError(why, { code: "closed", operation: "wait for connections" }));
    }
    this.#waiting.clear();
    this.cut("reset");
    // Nobody waits for a target that does not answer.
    for (const { ends } of this.#passages) ends.forEach((end) => end.connecting && end.destroy());
    await closed;
  }

  #take(client: Socket): void {
    const { hostname, port } = this.#target;
    const server = connect({ host: hostname, port, allowHalfOpen: true });
    const ends = [client, server];
    const cut = (how: "end" | "reset"): void => {
      lanes.forEach((lane) => lane.stop());
      ends.forEach(how === "end" ? leave : reset);
    };
    const up = this.#lane("up", client, server, cut);
    const down = this.#lane("down", server, client, cut);
    const lanes = [up, down];
    const passage: Passage = { ends, lanes, cut };
    this.#passages.add(passage);
    listenTo(client, up);
    listenTo(server, down);
    let open = ends.length;
    const gone = (): void => {
      if (--open > 0) return;
      lanes.forEach((lane) => lane.stop());
      this.#passages.delete(passage);
    };
    ends.forEach((end) => end.once("close", gone));
    this.connections++;
    for (const waiting of this.#waiting) {
      if (this.connections < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  #lane(direction: Direction, from: Socket, to: Socket, cut: (how: "end" | "reset") => void): ChaosLane {
    const counts = this.#counts[direction];
    return new ChaosLane({
      faults: () => this.#each[direction],
      clock: this.#clock,
      random: this.#random,
      buffer: this.#options.buffer ?? 1024 * 1024,
      passed(bytes) {
        counts.bytes += bytes;
        counts.pieces++;
      },
      exit: {
        write: (bytes) => new Promise((resolve) => to.write(bytes, () => resolve())),
        end: () => void to.end(),
        reset: () => reset(to),
        room: () => void from.resume(),
        cut,
      },
    });
  }
}

/** Sends what comes from a socket down a lane. */
function listenTo(socket: Socket, lane: ChaosLane): void {
  socket.setNoDelay(true);
  // Without an encoding it is bytes, whatever the types say.
  socket.on("data", (bytes) => {
    if (typeof bytes !== "string" && !lane.push(bytes)) socket.pause();
  });
  socket.on("end", () => lane.push("end"));
  // A reset, or a target that is not there: the other end gets a reset as well.
  socket.on("error", () => {
    lane.push("reset");
    socket.destroy();
  });
  socket.resume();
}

/** Resets a connection; one that is not made yet has to be first, for the target may know it already. */
function reset(socket: Socket): void {
  if (socket.connecting) socket.once("connect", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

/** Closes a socket after what it was given; what comes in meanwhile is dropped. */
function leave(socket: Socket): void {
  socket.removeAllListeners("data");
  socket.resume();
  socket.end(() => socket.destroy());
}
