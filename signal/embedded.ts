/**
 * A small MQTT broker within the process, for a first try, tests, and networks of one's own. On a subpath of its own, so
 * that nobody fetches `npm:aedes` who does not use it.
 *
 * ```ts
 * import { startBroker } from "@holdfast/net/signal/broker";
 *
 * await using broker = await startBroker({ port: 1883 });
 * console.log(broker.url);
 * ```
 *
 * Needs the permission `net` for its address.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import type { Aedes, AedesOptions, AuthenticateError, Client } from "aedes";
import type { Clock } from "../internal/clock.ts";
import { type Logger, loggerOr } from "../internal/log.ts";
import { checkNumber } from "../recover/_check.ts";
import { acceptLoop } from "../recover/accept_loop.ts";
import { connStream } from "./_conn_stream.ts";
import { PacketMeter } from "./_mqtt_meter.ts";
import { quietly } from "./_quietly.ts";

/** What {@linkcode startBroker} takes. */
export interface EmbeddedBrokerOptions {
  /**
   * The address to listen on. With any other than that of this machine alone, everybody who can reach it can use the
   * broker, unless there are `users`.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The port; 0 for one that is free.
   *
   * @default {0}
   */
  readonly port?: number;
  /**
   * Who may come in: names, and their passwords.
   *
   * @default {undefined} Everybody.
   */
  readonly users?: Readonly<Record<string, string>>;
  /**
   * How many clients there may be at a time. Those above are sent away.
   *
   * @default {1000}
   */
  readonly maxClients?: number;
  /**
   * The most bytes of a packet.
   *
   * @default {262_144}
   */
  readonly maxPacket?: number;
  /** Where it is told what clients do wrong. */
  readonly logger?: Logger | undefined;
  /** Source of time, for what is this module's own. */
  readonly clock?: Clock;
}

/** A broker that runs. */
export interface EmbeddedBroker extends AsyncDisposable {
  /** Its address, for `mqtt()`. */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** How many clients are connected. */
  readonly clients: number;
}

/** A client has this long to say who it is, and to take what is sent to it, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Starts a broker of MQTT 3.1.1 over TCP, at QoS 0 to 2.
 *
 * It keeps nothing: no messages for those who are away, no retained ones, no sessions. What clients send beyond the limits
 * ends their connection.
 *
 * @param options Where, for whom, and how much.
 * @returns The broker; disposing it ends all connections.
 * @throws {Deno.errors.AddrInUse} When somebody listens there already.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { startBroker } from "@holdfast/net/signal/broker";
 * import { assertEquals } from "@std/assert";
 *
 * await using broker = await startBroker();
 * assertEquals(broker.url, `mqtt://127.0.0.1:${broker.port}`);
 * ```
 */
export async function startBroker(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
  const { hostname = "127.0.0.1", port = 0, maxClients = 1000, maxPacket = 262_144, clock } = options;
  checkNumber("start a broker", "port", port, { to: 65_535, whole: true });
  checkNumber("start a broker", "maxClients", maxClients, { from: 1 });
  checkNumber("start a broker", "maxPacket", maxPacket, { from: 256 });
  const listener = Deno.listen({ hostname, port });
  try {
    const { Aedes } = await quietly(() => import("aedes"));
    const broker = await Aedes.createBroker(rulesOf(options));
    const { debug } = loggerOr(options.logger);
    const tell = (client: Client, error: Error): void =>
      debug.call(
        loggerOr(options.logger),
        `A client of the broker (${client.id ?? "without name"}): ${error.message}`,
      );
    broker.on("clientError", tell);
    broker.on("connectionError", tell);
    const handle = (conn: Deno.TcpConn): Promise<void> => serve(broker, conn, maxPacket);
    const loop = acceptLoop(listener, handle, {
      maxConnections: maxClients,
      whenFull: "shed",
      ...(clock ? { clock } : {}),
    });
    return new Embedded(hostname, listener.addr.port, broker, loop);
  } catch (error) {
    listener.close();
    throw error;
  }
}

class Embedded implements EmbeddedBroker {
  readonly url: string;
  readonly port: number;
  readonly #broker: Aedes;
  readonly #loop: { readonly connections: number; close(): Promise<void> };
  #closed: Promise<void> | undefined;

  constructor(
    hostname: string,
    port: number,
    broker: Aedes,
    loop: { readonly connections: number; close(): Promise<void> },
  ) {
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    this.url = `mqtt://${host}:${port}`;
    this.port = port;
    this.#broker = broker;
    this.#loop = loop;
  }

  get clients(): number {
    return this.#loop.connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await new Promise<void>((resolve) => this.#broker.close(() => resolve()));
    await this.#loop.close();
  }
}

/** Serves one client to its end. */
async function serve(broker: Aedes, conn: Deno.TcpConn, maxPacket: number): Promise<void> {
  conn.setNoDelay(true);
  const meter = new PacketMeter(maxPacket);
  const stream = connStream(conn, (bytes) => meter.push(bytes));
  const ended = new Promise<void>((resolve) => stream.once("close", resolve));
  // Told to the broker, which tells it as an error of the client.
  stream.on("error", () => {});
  stream.on("end", () => stream.destroy());
  broker.handle(stream);
  await ended;
}

/** What clients may do. */
function rulesOf({ users }: EmbeddedBrokerOptions): AedesOptions {
  return {
    connectTimeout: PATIENCE,
    drainTimeout: PATIENCE,
    maxClientsIdLength: 256,
    preConnect(_client, packet, done) {
      // Sessions and retained messages would have to be kept for those who never come back.
      packet.clean = true;
      if (packet.will) packet.will.retain = false;
      done(null, true);
    },
    authorizePublish(_client, packet, done) {
      packet.retain = false;
      if (packet.topic.startsWith("$")) {
        done(new Error("Cannot publish: topics of the broker itself are not for clients"));
      } else done(null);
    },
    ...(users === undefined ? {} : {
      authenticate(_client, username, password, done) {
        const known = username !== undefined && Object.hasOwn(users, username) ? users[username] : undefined;
        if (known !== undefined && password !== undefined && sameSecret(known, password)) {
          return done(null, true);
        }
        done(
          Object.assign(new Error("Cannot connect: no such user, or another password"), {
            returnCode: 4,
          }) as AuthenticateError,
          null,
        );
      },
    }),
  };
}

/** Compares without telling by the time it takes how much of it is right. */
function sameSecret(known: string, given: Uint8Array): boolean {
  const expected = Buffer.from(known);
  const same = expected.length === given.length;
  return timingSafeEqual(expected, same ? given : expected) && same;
}
