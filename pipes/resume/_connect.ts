/** Connecting to a URL that begins with `resume+`. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { orAbort } from "../../recover/_or_abort.ts";
import { retry } from "../../recover/retry.ts";
import { TimeoutError } from "../../recover/timeout.ts";
import { parsePipeUrl, type PipeUrl, splitResume } from "../address.ts";
import { type ConnectOptions, dialerOf } from "../connect.ts";
import { failedError } from "../_failed.ts";
import { makePipe } from "../_make_pipe.ts";
import { ALPN, type Endpoint, NoSessionsError } from "./_carrier_dial.ts";
import { ClientSession, type ClientSetup } from "./_client.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import type { SessionOptions } from "./session_options.ts";
import type { Pipe } from "../pipe.ts";
import type { SessionPipe } from "./session.ts";

/** What the terms of a session are where nothing else is asked for. */
const [WINDOW, EXPIRY, KEEPALIVE] = [4 * 1024 * 1024, 120_000, 15_000];

/**
 * Opens a session.
 *
 * @param place Where to, without the `resume+`.
 * @param options What the user asked for.
 */
export async function connectSession(place: PipeUrl, options: ConnectOptions): Promise<SessionPipe | Pipe> {
  const { timeout = 30_000, clock = systemClock, signal, network } = options;
  const setup = setupOf(place, options);
  const policy = options.retry === false ? undefined : options.retry ?? retry({
    maxAttempts: 4,
    deadline: timeout,
    operation: "connect",
    idempotent: true,
    clock,
    ...(network ? { network } : {}),
  });
  const open = (signal: AbortSignal): Promise<SessionPipe | Pipe> =>
    ClientSession.open(setup, signal).then(({ pipe }) => pipe, (error) => {
      if (!(error instanceof NoSessionsError)) throw error;
      if (options.resume === "prefer") return makePipe(error.link, options, {}) as unknown as Pipe;
      error.link.abort();
      throw error;
    });
  try {
    return await inTime(
      async (signal) => {
        if (!policy) return await open(signal);
        const done = await policy.execute(async ({ signal }) => {
          try {
            return { pipe: await open(signal) };
          } catch (error) {
            // Another attempt would end as this one did.
            if (error instanceof NoSessionsError || error instanceof TypeError) return { error };
            if (error instanceof SessionHandshakeError && error.final) return { error };
            throw error;
          }
        }, { signal });
        if ("error" in done) throw done.error;
        return done.pipe;
      },
      timeout,
      clock,
      signal,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw failedError(place, error, { operation: "connect", network: network?.state });
  }
}

function setupOf(place: PipeUrl, options: ConnectOptions): ClientSetup {
  const { session = {}, tls } = options;
  const { window = WINDOW, expiry = EXPIRY, keepalive = KEEPALIVE, seal, plain = false } = session;
  const below: ConnectOptions = {
    ...options,
    retry: false,
    tls: { ...tls, alpnProtocols: [ALPN, ...(tls?.alpnProtocols ?? [])] },
  };
  const places = [place, ...(session.endpoints ?? []).map((url) => parsePipeUrl(splitResume(url).rest))];
  const endpoints: Endpoint[] = places.map((place) => ({ place, dial: dialerOf(place, below) }));
  return {
    endpoints,
    plain,
    options,
    handshake: { wishes: { window, expiry, keepalive }, greeting: greetingOf(session), seal },
  };
}

function greetingOf({ greeting }: SessionOptions): Uint8Array | undefined {
  return typeof greeting === "string" ? new TextEncoder().encode(greeting) : greeting;
}

async function inTime<T>(
  work: (signal: AbortSignal) => Promise<T>,
  timeout: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<T> {
  const late = new AbortController();
  const timer = clock.after(timeout, () => late.abort(new TimeoutError(timeout)), { ref: true });
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
  try {
    return await orAbort(work(either), either);
  } finally {
    timer.cancel();
  }
}
