/** How the carriers of a client's session are dialled: where to, and anew when the network changes. */

import type { Clock } from "../../internal/clock.ts";
import { dialCarrier, type DialledCarrier, type Endpoint } from "./_carrier_dial.ts";
import { type ClientSetup, endpointNamed } from "./_client_setup.ts";
import type { SessionCore } from "./_core.ts";
import type { SessionKeys } from "./_handshake.ts";
import { REJECT } from "./_handshake_frames.ts";
import { SessionHandshakeError } from "./handshake_error.ts";
import { raceEndpoints } from "./_race_endpoints.ts";

/** What a {@linkcode ClientDials} is made with. */
export interface ClientDialsOptions {
  /** What the user asked for. */
  readonly setup: ClientSetup;
  /** The session's name and secrets. */
  readonly keys: SessionKeys & { readonly id: Uint8Array };
  /** The session. */
  readonly core: SessionCore;
  /** The endpoint that it was opened with. */
  readonly best: Endpoint;
  /** Source of time. */
  readonly clock: Clock;
}

/** A carrier that only waits for our CONFIRM. */
export interface Dialled {
  /** The carrier. */
  readonly carrier: DialledCarrier;
  /** Where it leads. */
  readonly endpoint: Endpoint;
  /** What was acknowledged when the server was asked what it has received. */
  readonly least: number;
}

/** A dial that is older than this is begun anew when the network changes: its packets went nowhere. In milliseconds. */
const STALE = 200;

/** Dials for one session, once at a time. */
export class ClientDials {
  readonly #options: ClientDialsOptions;
  /** The endpoint that worked last, or that the server has sent us to. */
  best: Endpoint;
  /** Those that the server has told of. */
  #told: readonly Endpoint[] = [];
  #epoch = 1;
  /** What begins the dial anew that is under way, and when that began. */
  #dialling: { readonly restart: AbortController; readonly since: number } | undefined;

  /** @param options What is known of the session. */
  constructor(options: ClientDialsOptions) {
    this.#options = options;
    this.best = options.best;
  }

  /**
   * Takes what the server tells of its addresses, as far as it can be used.
   *
   * @param urls In place of all that it told before.
   * @returns Whether that is news, and the one that we are with is not among them.
   */
  tell(urls: readonly string[]): boolean {
    const { setup } = this.#options;
    const places = urls.map((url) => endpointNamed(setup, url)).filter((one) => one !== undefined);
    const isNews = places.length !== this.#told.length || places.some((one) => !isAmong(this.#told, one));
    this.#told = places;
    const [first] = places;
    if (!isNews || !first || isAmong(places, this.best)) return false;
    this.best = first;
    return true;
  }

  /** The server has sent us somewhere else. */
  moved(url: string): void {
    this.best = endpointNamed(this.#options.setup, url) ?? this.best;
  }

  /** Begins the dial anew if its packets may have gone nowhere; tells whether one is under way. */
  restart(): boolean {
    const dialling = this.#dialling;
    if (!dialling) return false;
    if (this.#options.clock.monotonic() - dialling.since > STALE) dialling.restart.abort();
    return true;
  }

  /**
   * Dials until there is an answer.
   *
   * @param signal Gives up.
   * @throws What it failed with, by the best of all places or the last.
   */
  async dial(signal: AbortSignal): Promise<Dialled> {
    for (;;) {
      const restart = new AbortController();
      this.#dialling = { restart, since: this.#options.clock.monotonic() };
      try {
        return await this.#race(AbortSignal.any([signal, restart.signal]));
      } catch (error) {
        if (!restart.signal.aborted || signal.aborted) throw error;
      } finally {
        this.#dialling = undefined;
      }
    }
  }

  async #race(signal: AbortSignal): Promise<Dialled> {
    const { core, keys, clock, setup: { plain, handshake, endpoints } } = this.#options;
    const places: Endpoint[] = [];
    for (const one of [this.best, ...endpoints, ...this.#told]) if (!isAmong(places, one)) places.push(one);
    const { value, place } = await raceEndpoints(places, {
      dial: async (endpoint, signal) => {
        let least: number | undefined;
        const received = (): number => {
          // What RESUME says; the answer is asked for by it.
          least ??= core.acknowledged;
          return core.received;
        };
        const session = { ...keys, epoch: ++this.#epoch, received };
        const about = { ...handshake, session };
        const carrier = await dialCarrier(endpoint, { handshake: about, plain, clock, signal });
        return { carrier, least: least ?? 0 };
      },
      discard: ({ carrier }) => carrier.link.abort(),
      final: (error) => error instanceof SessionHandshakeError && isRefusal(error),
      signal,
      clock,
    });
    return { ...value, endpoint: place };
  }
}

/** Whether a session is lost by that. */
export function isRefusal({ reason, rejection }: SessionHandshakeError): boolean {
  const codes: readonly (number | null)[] = [REJECT.refused, REJECT.expired, REJECT.resources];
  return reason === "rejected" && codes.includes(rejection);
}

function isAmong(places: readonly Endpoint[], { url }: Endpoint): boolean {
  return places.some((one) => one.url === url);
}
