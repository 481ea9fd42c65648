/** What the codes mean by which a broker refuses a connection, or ends it. */

import { HoldfastError } from "../internal/errors.ts";

/**
 * What to do about a failure: `stop` for good, try again `later`, not before a while since it is `busy`, send less after a
 * `quota`, go to `another` server, speak the other `version` of the protocol.
 */
export type MqttVerdict = "stop" | "later" | "busy" | "quota" | "another" | "version";

/** Why there is no connection, and what to do about it. */
export interface MqttFailure {
  /** What to do. */
  readonly verdict: MqttVerdict;
  /** Why. */
  readonly error: Error;
  /** The servers to go to with `another`, as the broker names them; not to be trusted. */
  readonly servers?: readonly MqttServer[];
}

/** A server that a broker names. */
export interface MqttServer {
  /** A name or an address. */
  readonly hostname: string;
  /** Its port, where it has to be another one. */
  readonly port?: number;
}

/** What a code means. */
interface Meaning {
  readonly verdict: MqttVerdict;
  readonly code: string;
  readonly why: string;
}

const LOGIN: Meaning = { verdict: "stop", code: "login", why: "the broker refuses this login" };
const BUSY: Meaning = { verdict: "busy", code: "busy", why: "the broker is busy" };
const QUOTA: Meaning = { verdict: "quota", code: "quota", why: "the broker says that it is sent too much" };
const MOVED: Meaning = { verdict: "another", code: "moved", why: "the broker names another server" };
const VERSION: Meaning = {
  verdict: "version",
  code: "protocol",
  why: "the broker does not speak this version of MQTT",
};

/** MQTT 3.1.1 section 3.2.2.3; brokers of that version answer a client of version 5 by these, too. */
const RETURN_CODES: Readonly<Record<number, Meaning>> = { 1: VERSION, 3: BUSY, 4: LOGIN, 5: LOGIN };

/** MQTT 5.0 sections 3.2.2.2 and 3.14.2.1. */
const REASON_CODES: Readonly<Record<number, Meaning>> = {
  0x84: VERSION,
  0x86: LOGIN,
  0x87: LOGIN,
  0x88: BUSY,
  0x89: BUSY,
  0x8a: { verdict: "stop", code: "banned", why: "the broker has banned this client" },
  0x8b: { verdict: "later", code: "lost", why: "the broker shuts down" },
  0x8c: LOGIN,
  0x8e: { verdict: "later", code: "lost", why: "somebody else uses the same client id" },
  0x96: QUOTA,
  0x97: QUOTA,
  0x98: BUSY,
  0x9c: MOVED,
  0x9d: MOVED,
  0x9f: BUSY,
};

/**
 * Knows what a code means.
 *
 * @param code The return code of a CONNACK, or the reason code of a CONNACK or DISCONNECT.
 * @param url The broker, without its login.
 * @param reference What the broker says about another server.
 * @returns What to do about it.
 */
export function refusalOf(code: number, url: string, reference?: string): MqttFailure {
  const meaning = code < 0x80 ? RETURN_CODES[code] : REASON_CODES[code];
  const named = `code 0x${code.toString(16).padStart(2, "0")}`;
  const { verdict, why } = meaning ?? { verdict: "later" as const, why: "the broker refuses" };
  const error = mqttError(url, `${why} (${named})`, meaning?.code ?? "refused");
  return { verdict, error, ...(verdict === "another" ? { servers: serversOf(reference ?? "") } : {}) };
}

/**
 * Makes the error for a connection that is not there.
 *
 * @param url The broker, without its login.
 * @param why What happened.
 * @param code The error's code.
 * @param cause The failure below.
 */
export function mqttError(url: string, why: string, code: string, cause?: unknown): HoldfastError {
  return new HoldfastError(`Cannot use the broker ${url}: ${why}`, {
    code,
    operation: "use a broker",
    cause,
  });
}

/** How many servers of a list are looked at. */
const MAX_SERVERS = 4;

/** Reads a server reference: names with or without a port, separated by spaces (MQTT 5.0 section 4.11). */
function serversOf(reference: string): readonly MqttServer[] {
  return reference.slice(0, 1024).split(" ").flatMap((text): MqttServer[] => {
    const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::(\d{1,5}))?$/i.exec(text) ??
      [];
    const hostname = bracketed ?? plain;
    if (hostname === undefined || Number(port ?? 1) > 65535 || Number(port ?? 1) === 0) return [];
    return [{ hostname: hostname.toLowerCase(), ...(port === undefined ? {} : { port: Number(port) }) }];
  }).slice(0, MAX_SERVERS);
}
