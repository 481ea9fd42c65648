/** Connecting to a URL that begins with `resume+`. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import { orAbort } from "../../recover/_or_abort.ts";
import { retry } from "../../recover/retry.ts";
import { TimeoutError } from "../../recover/timeout.ts";
import type { PipeUrl } from "../address.ts";
import { type ConnectOptions, dialerOf } from "../connect.ts";
import { failedError } from "../_failed.ts";
import { makePipe } from "../_make_pipe.ts";
import type { Pipe } from "../pipe.ts";
import { NoSessionsError } from "./_carrier_dial.ts";
import { ClientSession } from "./_client.ts";
import { type ClientSetup, clientSetup } from "./_client_setup.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import type { SessionPipe } from "./session.ts";

type Opened = SessionPipe | Pipe;

/**
 * Opens a session.
 *
 * @param place Where to, without the `resume+`.
 * @param options What the user asked for.
 */
export async function connectSession(place: PipeUrl, options: ConnectOptions): Promise<Opened> {
  const { timeout = 30_000, clock = systemClock, signal, network } = options;
  const setup = clientSetup(place, options);
  const policy = options.retry === false ? undefined : options.retry ?? retry({
    maxAttempts: 4,
    deadline: timeout,
    operation: "connect",
    idempotent: true,
    clock,
    ...(network ? { network } : {}),
  });
  const open = (signal: AbortSignal): Promise<Opened> => openOnce(place, setup, signal);
  try {
    return await inTime(
      async (signal) => {
        if (!policy) return await open(signal);
        const done = await policy.execute(async ({ signal }) => {
          try {
            return { pipe: await open(signal) };
          } catch (error) {
            // Another attempt would end as this one did.
            if (error instanceof NoSessionsError || error instanceof TypeError && !("code" in error)) {
              return { error };
            }
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

async function openOnce(place: PipeUrl, setup: ClientSetup, signal: AbortSignal): Promise<Opened> {
  try {
    return (await ClientSession.open(setup, signal)).pipe;
  } catch (error) {
    const { ordinary, options } = setup;
    if (!(error instanceof NoSessionsError) || !ordinary) throw error;
    const dial = dialerOf(place, { ...options, retry: false });
    // A WebSocket that was refused for what was offered is asked for once more, without.
    const link = error.link ?? await dial({ signal });
    return makePipe(link, options, { dial }) as unknown as Pipe;
  }
}

/** Waits for a pipe; one that comes too late is ended. */
async function inTime(
  work: (signal: AbortSignal) => Promise<Opened>,
  timeout: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const late = new AbortController();
  const timer = clock.after(timeout, () => late.abort(new TimeoutError(timeout)), { ref: true });
  const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
  const opening = work(either);
  try {
    return await orAbort(opening, either);
  } catch (error) {
    opening.then((pipe) => pipe.abort(error), () => {});
    throw error;
  } finally {
    timer.cancel();
  }
}
