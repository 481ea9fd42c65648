/** One process that sockets are pushed to. */

import type { Clock, Timer } from "../../internal/clock.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import type { ReceivedMessage } from "../../internal/ffi/socket_messages.ts";
import { PushError } from "./push_error.ts";
import { ScmChannel } from "./_scm_channel.ts";
import { encodeFrame, encodeLine, PLAIN_ACK, PLAIN_NAK, ScmDecoder, type ScmFrame } from "./_scm_frames.ts";
import { connectPath, type PushPeer, type TrustedUsers } from "./_scm_socket.ts";

/** What is pushed. */
export interface Parcel {
  /** Stays open until the answer. */
  readonly descriptor: number;
  readonly kind: "stream" | "listener" | "datagram";
  readonly metadata: unknown;
  /** What was read from it already. */
  readonly prefix: Uint8Array;
}

/** What has become of a parcel: taken by a process, or not, and by nobody else there. */
export type Outcome =
  | { readonly taken: true; readonly peer: PushPeer }
  | {
    readonly taken: false;
    readonly error: PushError;
    /** Whether the connection ended meanwhile; a process that came back may be there now. */
    readonly lost?: boolean;
  };

/** How a process is spoken to. */
export interface ScmSenderOptions {
  readonly plain: boolean;
  readonly users: TrustedUsers | undefined;
  /** How many milliseconds there are for an answer, and for the answer to a revocation. */
  readonly timeout: number;
  readonly grace: number;
  readonly clock: Clock;
}

/** What a receiver says about itself. */
interface Limits {
  readonly window: number;
  readonly maxText: number;
  readonly maxBytes: number;
}

/** A parcel on its way. */
interface Flight {
  readonly parcel: Parcel;
  readonly settle: (outcome: Outcome) => void;
  /** Why it was called back, once it was. */
  revoked: PushError | undefined;
  /** How long the answer to that is waited for. */
  grace: Timer | undefined;
}

/** In plain mode there is one line at a time. */
const PLAIN_LIMITS: Limits = { window: 1, maxText: 64 * 1024, maxBytes: 1024 * 1024 };
/** The least and the most that a receiver may wish for. */
const WINDOW = 4096;

interface Connection {
  readonly channel: ScmChannel;
  readonly peer: PushPeer;
  readonly decoder: ScmDecoder;
  readonly flights: Map<number, Flight>;
  readonly ready: PromiseWithResolvers<Limits>;
  limits: Limits | undefined;
}

/** A process that listens on a path. It is connected to when there is something for it, and again when it came back. */
export class ScmSender {
  /** Where it is. */
  readonly path: string;
  readonly #calls: SocketCalls;
  readonly #options: ScmSenderOptions;
  readonly #room: (() => void)[] = [];
  #connection: Connection | undefined;
  #next = 1;
  /** Those that wait for a place among the flights, or for the first word of the process. */
  #waiting = 0;
  #closed = false;

  /**
   * Makes a sender, which connects to nobody yet.
   *
   * @param calls The C library, held until the sender is closed.
   * @param path Where the process listens.
   * @param options How it is spoken to.
   */
  constructor(calls: SocketCalls, path: string, options: ScmSenderOptions) {
    this.#calls = calls;
    this.path = path;
    this.#options = options;
  }

  /** How much is on its way to the process, or waits to be. */
  get load(): number {
    return (this.#connection?.flights.size ?? 0) + this.#waiting;
  }

  /**
   * Offers a parcel to the process.
   *
   * @param parcel The parcel.
   * @param signal Calls it off, unless it is taken in that moment.
   * @returns What has become of it.
   */
  async offer(parcel: Parcel, signal: AbortSignal | undefined): Promise<Outcome> {
    const { timeout, clock } = this.#options;
    const refused = Promise.withResolvers<PushError>();
    let expire = (error: PushError): void => refused.resolve(error);
    const timer = clock.after(timeout, () => expire(this.#late(timeout)), { ref: true });
    const abort = (): void => expire(this.#calledOff());
    signal?.addEventListener("abort", abort);
    try {
      const { promise, resolve: settle } = Promise.withResolvers<Outcome>();
      const flight: Flight = { parcel, settle, revoked: undefined, grace: undefined };
      const id = this.#next++;
      const connection = await this.#board(id, flight, refused.promise);
      if (connection instanceof PushError) return { taken: false, error: connection };
      expire = (error) => this.#revoke(connection, id, flight, error);
      this.#send(connection, id, flight);
      return await promise;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends the connection; what is on its way is called off. */
  close(): void {
    this.#closed = true;
    this.#connection?.channel.cut();
  }

  /** Takes a place on the connection, when there is one; or says why there is none. */
  async #board(id: number, flight: Flight, given: Promise<PushError>): Promise<Connection | PushError> {
    this.#waiting++;
    try {
      for (;;) {
        if (this.#closed) {
          return new PushError("Cannot push: the channel is closed", {
            code: "closed",
            operation: "push a socket",
          });
        }
        const connection = this.#connection ??= this.#connect();
        const limits = connection.limits ?? await Promise.race([connection.ready.promise, given]);
        if (limits instanceof PushError) return limits;
        if (connection !== this.#connection) continue;
        if (connection.flights.size < limits.window) {
          // At once, or others would find the same place free.
          connection.flights.set(id, flight);
          return connection;
        }
        const room = new Promise<undefined>((resolve) => this.#room.push(() => resolve(undefined)));
        const stop = await Promise.race([room, given]);
        if (stop) return stop;
      }
    } catch (error) {
      if (error instanceof PushError) return error;
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  #connect(): Connection {
    const { plain, users } = this.#options;
    const { fd, peer } = connectPath(this.#calls, this.path, users);
    const channel = new ScmChannel(this.#calls, fd, {
      received: (message) => this.#received(connection, message),
      ended: () => this.#ended(connection, this.#gone()),
    });
    const limits = { maxText: 4096, maxBytes: 0 };
    const connection: Connection = {
      channel,
      peer,
      decoder: new ScmDecoder(limits, "frames"),
      flights: new Map(),
      ready: Promise.withResolvers<Limits>(),
      limits: plain ? PLAIN_LIMITS : undefined,
    };
    // Whoever waits is told; nobody may.
    connection.ready.promise.catch(() => {});
    if (plain) connection.ready.resolve(PLAIN_LIMITS);
    else channel.send(encodeFrame("HELLO", 0, { text: { pid: Deno.pid } }));
    channel.reading = true;
    return connection;
  }

  #send(connection: Connection, id: number, flight: Flight): void {
    const { parcel: { descriptor, kind, metadata, prefix } } = flight;
    const limits = connection.limits ?? PLAIN_LIMITS;
    const bytes = this.#options.plain
      ? encodeLine({ kind, metadata }, prefix)
      : encodeFrame("PUSH", id, { text: { kind, metadata }, bytes: prefix, descriptors: 1 });
    const text = bytes.length - prefix.length;
    if (prefix.length > limits.maxBytes || (!this.#options.plain && text - 24 > limits.maxText)) {
      const what = prefix.length > limits.maxBytes
        ? `${prefix.length} bytes read`
        : `${text} bytes of metadata`;
      connection.flights.delete(id);
      this.#release();
      return flight.settle({ taken: false, error: this.#refused(`it takes no ${what}`) });
    }
    // It may have ended meanwhile, which was told.
    if (connection.channel.closed) return;
    connection.channel.reading = true;
    connection.channel.send(bytes, [descriptor]);
  }

  /** Calls a parcel back; whether it comes is for the process to say, or for the end of the connection. */
  #revoke(connection: Connection, id: number, flight: Flight, error: PushError): void {
    if (flight.revoked || connection.flights.get(id) !== flight) return;
    flight.revoked = error;
    const { plain, grace, clock } = this.#options;
    if (plain) return connection.channel.cut();
    connection.channel.send(encodeFrame("REVOKE", id));
    flight.grace = clock.after(grace, () => connection.channel.cut(), { ref: true });
  }

  #received(connection: Connection, { data, descriptors }: ReceivedMessage): void {
    for (const descriptor of descriptors) this.#calls.call.close(descriptor);
    try {
      if (descriptors.length > 0) throw new SyntaxError("Cannot read an answer: descriptors came with it");
      if (this.#options.plain) return this.#plainAnswers(connection, data);
      connection.decoder.feed(data, []);
      for (let frame = connection.decoder.next(); frame; frame = connection.decoder.next()) {
        this.#answer(connection, frame);
      }
    } catch (error) {
      const message = (error as Error).message;
      connection.channel.close();
      this.#ended(
        connection,
        new PushError(`Cannot push to ${this.path}: ${message}`, {
          code: "protocol",
          operation: "push a socket",
          cause: error,
        }),
      );
    }
  }

  #plainAnswers(connection: Connection, data: Uint8Array): void {
    for (const byte of data) {
      const [first] = connection.flights;
      if (!first || (byte !== PLAIN_ACK && byte !== PLAIN_NAK)) {
        throw new SyntaxError(`Cannot read an answer: the byte ${byte}`);
      }
      this.#settle(connection, first[0], byte === PLAIN_ACK ? null : "it does not want it");
    }
  }

  #answer(connection: Connection, { type, id, text }: ScmFrame): void {
    if (type === "HELLO" && !connection.limits) {
      connection.limits = limitsOf(text);
      connection.ready.resolve(connection.limits);
      this.#rest(connection);
    } else if (type === "ACK" || type === "NACK") {
      this.#settle(connection, id, type === "ACK" ? null : reasonOf(text));
    } else throw new SyntaxError(`Cannot read an answer: ${type} was not expected`);
  }

  #settle(connection: Connection, id: number, reason: string | null): void {
    const flight = connection.flights.get(id);
    // An answer to what has not been sent yet would let its descriptor be closed while it waits to be sent.
    if (!flight || connection.channel.holds(flight.parcel.descriptor)) {
      throw new SyntaxError(`Cannot read an answer: nothing has the number ${id}`);
    }
    connection.flights.delete(id);
    flight.grace?.cancel();
    flight.settle(
      reason === null
        ? { taken: true, peer: connection.peer }
        : { taken: false, error: flight.revoked ?? this.#refused(reason) },
    );
    this.#release();
    this.#rest(connection);
  }

  /** Nothing is awaited: the process may end although the connection is open. */
  #rest(connection: Connection): void {
    if (connection.flights.size === 0 && connection.limits && !connection.channel.closed) {
      connection.channel.reading = false;
    }
  }

  #ended(connection: Connection, error: PushError): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.ready.reject(error);
    const flights = [...connection.flights.values()];
    connection.flights.clear();
    // Nobody has answered, and now nobody can.
    for (const flight of flights) {
      flight.grace?.cancel();
      flight.settle({ taken: false, error: flight.revoked ?? error, lost: !flight.revoked });
    }
    this.#release();
  }

  /** All at once: each looks for itself whether there is room. */
  #release(): void {
    for (const room of this.#room.splice(0)) room();
  }

  #late(timeout: number): PushError {
    return new PushError(`Cannot push to ${this.path}: no answer within ${timeout} ms`, {
      code: "timeout",
      operation: "push a socket",
    });
  }

  #calledOff(): PushError {
    return new PushError(`Cannot push to ${this.path}: called off`, {
      code: "refused",
      operation: "push a socket",
    });
  }

  #gone(): PushError {
    return new PushError(`Cannot push to ${this.path}: the process there ended the connection`, {
      code: this.#closed ? "closed" : "unreachable",
      operation: "push a socket",
    });
  }

  #refused(reason: string): PushError {
    return new PushError(`Cannot push to ${this.path}: ${reason}`, {
      code: "refused",
      operation: "push a socket",
    });
  }
}

function limitsOf(text: unknown): Limits {
  const { window, maxText, maxBytes } = (text ?? {}) as Record<string, unknown>;
  const whole = (value: unknown, most: number): number => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
      throw new SyntaxError("Cannot read HELLO: its limits are no whole numbers from 1");
    }
    return Math.min(value, most);
  };
  return {
    window: whole(window, WINDOW),
    maxText: whole(maxText, 2 ** 31),
    maxBytes: whole(maxBytes, 2 ** 31),
  };
}

/** What a process gives as its reason, as far as it can be shown. */
function reasonOf(text: unknown): string {
  const { reason } = (text ?? {}) as Record<string, unknown>;
  return typeof reason === "string" ? reason.replace(/\p{Cc}/gu, "?").slice(0, 200) : "it gave no reason";
}
