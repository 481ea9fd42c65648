/** What a session at the client is opened with, checked before anybody is connected to. */

import type { Clock } from "../../internal/clock.ts";
import { formatPipeAddress, parsePipeUrl, type PipeUrl, splitResume } from "../address.ts";
import { type ConnectOptions, dialerOf } from "../connect.ts";
import { proxyFor } from "../_proxy_address.ts";
import { ALPN, type Endpoint, SUBPROTOCOL } from "./_carrier_dial.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "./_client_handshake.ts";
import type { ClientSeal } from "./_handshake.ts";
import type { SessionOptions, SessionSealOptions } from "./session_options.ts";

/** What a session is opened with. */
export interface ClientSetup {
  /** Where the server can be reached. */
  readonly endpoints: readonly Endpoint[];
  /** What handshakes are about, but for the session. */
  readonly handshake: ClientHandshakeOptions;
  /** Whether bytes that nothing protects may leave the machine and its private networks. */
  readonly plain: boolean;
  /** Whether a connection without a session will do, where the server offers none. */
  readonly ordinary: boolean;
  /** Source of time. */
  readonly clock?: Clock | undefined;
  /** What the user asked for. */
  readonly options: ConnectOptions;
}

/** What the terms of a session are where nothing else is asked for. */
const [WINDOW, EXPIRY, KEEPALIVE] = [4 * 1024 * 1024, 120_000, 15_000];

/** What can carry sessions. */
const CARRIERS: readonly string[] = ["tcp", "tls", "unix", "ws", "wss", "exec"];

/** What can be asked whether it does. */
const NEGOTIATED: readonly string[] = ["tls", "ws", "wss"];

/**
 * Checks what the user asked for.
 *
 * @param place Where to.
 * @param options How.
 * @throws {TypeError} When something makes no sense.
 * @throws {RangeError} When a number makes none.
 */
export function clientSetup(place: PipeUrl, options: ConnectOptions): ClientSetup {
  const { session = {}, resume = "require", clock } = options;
  const stop = (why: string): TypeError => new TypeError(`Cannot make a session: ${why}`);
  if (typeof session !== "object" || session === null) throw stop("session must be an object");
  if (resume !== "require" && resume !== "prefer") {
    throw stop(`resume must be "require", "prefer" or "off", got ${JSON.stringify(resume)}`);
  }
  const { window = WINDOW, expiry = EXPIRY, keepalive = KEEPALIVE, plain = false, endpoints = [] } = session;
  if (typeof plain !== "boolean") throw stop(`plain must be true or false, got ${JSON.stringify(plain)}`);
  if (!Array.isArray(endpoints)) throw stop("endpoints must be a list of URLs");
  const ordinary = resume === "prefer";
  if (ordinary && !NEGOTIATED.includes(place.transport)) {
    throw stop(`over ${place.transport}: nobody can be asked for one, so resume cannot be "prefer"`);
  }
  if (ordinary && session.seal) {
    throw stop('with seal there is no resume: "prefer", as an ordinary pipe would not be sealed');
  }
  if (ordinary && endpoints.length > 0) throw stop('with endpoints there is no resume: "prefer"');
  const handshake = {
    wishes: { window, expiry, keepalive },
    greeting: greetingOf(session),
    seal: session.seal && sealOf(session.seal),
  };
  // It checks the terms, the greeting and the keys.
  new ClientHandshake(handshake);
  const places = [place, ...endpoints.map((url) => placeOf(url, place))];
  const unfit = places.find(({ transport }) => !CARRIERS.includes(transport));
  if (unfit) throw stop(`${unfit.transport}: cannot carry any`);
  return {
    ...{ handshake, plain, ordinary, options },
    ...(clock ? { clock } : {}),
    endpoints: places.map((place) => endpointOf(place, options)),
  };
}

/**
 * The place that a server has named, if the user has named its host, with the same transport.
 *
 * @param setup What the user asked for.
 * @param url The URL, as the server gave it.
 */
export function endpointNamed({ endpoints, options }: ClientSetup, url: string): Endpoint | undefined {
  let place: PipeUrl;
  try {
    place = parsePipeUrl(splitResume(url).rest);
  } catch {
    return undefined;
  }
  if (!("hostname" in place)) return undefined;
  const { hostname, transport } = place;
  const isNamed = endpoints.some(({ place: named }) =>
    named.transport === transport && "hostname" in named &&
    named.hostname.toLowerCase() === hostname.toLowerCase()
  );
  return isNamed ? endpointOf(place, options) : undefined;
}

function endpointOf(place: PipeUrl, options: ConnectOptions): Endpoint {
  const { tls, transports = [], proxy } = options;
  const below: ConnectOptions = {
    ...options,
    retry: false,
    // What is over TLS and has a way to agree of its own is asked that way.
    ...(place.transport === "tls"
      ? { tls: { ...tls, alpnProtocols: [ALPN, ...(tls?.alpnProtocols ?? [])] } }
      : {}),
    transports: transports.map((one) => one.offering?.(SUBPROTOCOL) ?? one),
  };
  const path = "path" in place && place.transport !== "unix" ? place.path : "";
  return {
    place,
    url: `${formatPipeAddress(place)}${path}`,
    proxied: proxyFor(place, proxy) !== null,
    dial: dialerOf(place, below),
  };
}

function placeOf(url: unknown, first: PipeUrl): PipeUrl {
  if (typeof url !== "string" && !(url instanceof URL)) {
    throw new TypeError("Cannot make a session: endpoints must be a list of URLs");
  }
  const place = parsePipeUrl(splitResume(url).rest);
  return place.transport === "exec" && first.transport === "exec" ? first : place;
}

function greetingOf({ greeting }: SessionOptions): Uint8Array | undefined {
  if (typeof greeting === "string") return new TextEncoder().encode(greeting);
  if (greeting === undefined || greeting instanceof Uint8Array) return greeting;
  throw new TypeError("Cannot make a session: greeting must be text or bytes");
}

function sealOf({ key, serverKeys, identity }: SessionSealOptions): ClientSeal {
  return {
    sharedKey: key && "bytes" in key ? key.bytes : key,
    serverKeys: serverKeys?.map((one) => "publicKey" in one ? one.publicKey : one),
    identity,
  };
}
