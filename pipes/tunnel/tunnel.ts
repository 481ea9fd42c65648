/** What a tunnel is, and what it shows, at both ends. */

import type { EventOf } from "../../internal/events.ts";
import type { SessionState } from "../resume/session.ts";

/** One connection in a tunnel. It holds no secret. */
export interface TunnelConnection {
  /** Its name, 32 hexadecimal digits, the same at both ends. */
  readonly id: string;
  /** Where it leads: `HOST:PORT`, or `null` where the other end decides. */
  readonly target: string | null;
  /** Who it comes from: at the client the program, at the server the client. */
  readonly from: string;
  /** At the server, the fingerprint of the client's key where it has one. */
  readonly key: string | null;
  /** Whether it has something below it. */
  readonly state: SessionState;
  /** Since when it is there, in milliseconds since 1970. */
  readonly since: number;
  /** Bytes that this end has sent into the tunnel. */
  readonly sent: number;
  /** Bytes that came out of the tunnel at this end. */
  readonly received: number;
  /** Smoothed round-trip time in milliseconds; `null` before it was measured. */
  readonly roundTrip: number | null;
  /** How often it went on after a loss. */
  readonly resumes: number;
  /** For how many milliseconds in all there was nothing below it. */
  readonly suspended: number;
}

/** What went wrong with a connection in a tunnel. */
export interface TunnelFailure {
  /** What it was: the program's own connection at this end (`inner`), or everything behind it (`tunnel`). */
  readonly where: "inner" | "tunnel";
  /** A stable name. */
  readonly code: string;
  /** In words. */
  readonly message: string;
}

/** What {@linkcode Tunnel.on} tells of. `at` is in milliseconds since 1970. */
export type TunnelEvent =
  | {
    /** It listens: for programs, for clients, or at the server for a client. */
    readonly type: "listening";
    readonly at: number;
    /** Where, as `HOST:PORT` or a URL. */
    readonly address: string;
    /** Where it leads: `HOST:PORT`, `null` where the server decides, `"*"` where the program does. */
    readonly target: string | null;
    /** At which end. */
    readonly side: "here" | "server";
  }
  | {
    /** A connection is there, or has something below it again, or moved without a loss, or has lost what was below it. */
    readonly type: "open" | "suspended" | "resumed" | "migrated";
    readonly at: number;
    /** Which one, as it is now. */
    readonly connection: TunnelConnection;
  }
  | {
    /** A connection is over. */
    readonly type: "end";
    readonly at: number;
    /** Which one, as it was in the end. */
    readonly connection: TunnelConnection;
    /** What was wrong; `null` where both programs have said all. */
    readonly failure: TunnelFailure | null;
  }
  | {
    /** A connection did not come about. */
    readonly type: "refused";
    readonly at: number;
    /** Who wanted it. */
    readonly from: string;
    /** Where to; `null` where nothing was said that makes sense, or the server decides. */
    readonly target: string | null;
    /** A stable name of the reason. */
    readonly code: string;
    /** In words. */
    readonly message: string;
  }
  | {
    /** The list of those who are let in was read again. */
    readonly type: "authorized";
    readonly at: number;
    /** How many keys it has. */
    readonly keys: number;
    /** How many connections were ended by it. */
    readonly ended: number;
  }
  | {
    /** Something is wrong that ends nothing. */
    readonly type: "trouble";
    readonly at: number;
    /** In words. */
    readonly message: string;
  };

/** One end of a tunnel. */
export interface Tunnel extends AsyncDisposable {
  /** Where it listens at this end, each as `HOST:PORT` or a URL. */
  readonly addresses: readonly string[];
  /** The connections in it, as they are now. */
  readonly connections: readonly TunnelConnection[];
  /** Resolves when it has ended as it was told to; rejects with what ended it otherwise. */
  readonly closed: Promise<void>;
  /**
   * Calls a handler.
   *
   * @param type What to tell.
   * @param handler What to call.
   * @returns The registration; disposing it ends the calls.
   */
  on<T extends TunnelEvent["type"]>(type: T, handler: (event: EventOf<TunnelEvent, T>) => void): Disposable;
  /**
   * Takes no new connection, and waits until those that are there have ended.
   *
   * @param options How long that may take, in milliseconds, and what calls it off; they are ended then.
   * @returns How many had to be ended.
   */
  drain(options?: TunnelDrainOptions): Promise<number>;
  /** Ends it, and all connections in it; safe twice. */
  close(): Promise<void>;
}

/** How {@linkcode Tunnel.drain} ends a tunnel. */
export interface TunnelDrainOptions {
  /**
   * How many milliseconds the connections may take to end.
   *
   * @default {Infinity}
   */
  readonly timeout?: number;
  /** Ends them when aborted. */
  readonly signal?: AbortSignal | undefined;
}
