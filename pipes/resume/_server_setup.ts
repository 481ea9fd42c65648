/** What the user asked for at the end that is connected to, checked. */

import { checkFunction, checkNumber } from "../../recover/_check.ts";
import { formatPipeAddress, type PipeUrl } from "../address.ts";
import type { Link } from "../_link.ts";
import type { ListenOptions } from "../listen.ts";
import { ALPN, isPrivateAddress, SUBPROTOCOL } from "./_carrier_dial.ts";
import type { ServerSeal } from "./_handshake.ts";
import type { Terms } from "./_handshake_frames.ts";
import { isSame } from "./_keys.ts";
import { ServerHandshake } from "./_server_handshake.ts";
import type { SessionServerOptions, SessionServerSealOptions } from "./session_server_options.ts";

/** What a server of sessions is made with. */
export interface ServerSetup {
  /** The most that a session is granted. */
  readonly terms: Terms;
  /** How carriers are sealed. */
  readonly seal: ServerSeal | undefined;
  /** Whether who asks for no session gets an ordinary pipe, where that can be asked. */
  readonly ordinary: boolean;
  /** The other options of sessions, with their defaults. */
  readonly session: CheckedSessionOptions;
  /** All that the user asked for; what carries sessions offers them where that can be done. */
  readonly options: ListenOptions;
}

type Optional = "authorize" | "commit";
type Elsewhere = "window" | "expiry" | "keepalive" | "seal";
type CheckedSessionOptions =
  & Required<Omit<SessionServerOptions, Optional | Elsewhere>>
  & Pick<SessionServerOptions, Optional>;

const CARRIERS: readonly string[] = ["tcp", "tls", "unix", "ws", "wss", "memory"];
const NEGOTIATED: readonly string[] = ["tls", "ws", "wss"];

/**
 * Looks at all that the user asked for.
 *
 * @param place Where to listen, if anywhere.
 * @param options How.
 * @throws {TypeError} When something makes no sense.
 * @throws {RangeError} When a number makes none.
 */
export function serverSetup(place: PipeUrl | null, options: ListenOptions): ServerSetup {
  const { session = {}, resume = "require" } = options;
  if (typeof session !== "object" || session === null) throw stop("session must be an object");
  if (resume !== "require" && resume !== "prefer") {
    throw stop(`resume must be "require" or "prefer", got ${JSON.stringify(resume)}`);
  }
  const ordinary = resume === "prefer";
  if (place && !CARRIERS.includes(place.transport)) throw stop(`${place.transport}: cannot carry any`);
  if (place && ordinary && !NEGOTIATED.includes(place.transport)) {
    throw stop(`over ${place.transport}: nobody can be asked for one, so resume cannot be "prefer"`);
  }
  if (ordinary && session.seal) {
    throw stop('with seal there is no resume: "prefer", as an ordinary pipe would not be sealed');
  }
  const { window = 4 * 1024 * 1024, expiry = 120_000, keepalive = 15_000, seal } = session;
  const setup: ServerSetup = {
    terms: { window, expiry, keepalive },
    seal: seal && sealOf(seal, session.authorize !== undefined),
    ordinary,
    session: checked(session, options),
    options: offering(place, options),
  };
  // It checks the terms and the keys.
  new ServerHandshake({ find: () => undefined, limits: setup.terms, seal: setup.seal });
  return setup;
}

/** Whether the client has asked for sessions, where that can be done; elsewhere both ends were told. */
export function asksForSession({ transport, extra = {} }: Link): boolean {
  if (transport === "tls") return extra["alpn"] === ALPN;
  return transport === "ws" || transport === "wss" ? extra["protocol"] === SUBPROTOCOL : true;
}

/** Nothing that is not protected leaves the machine and its private networks unasked. */
export function checkClient({ transport, remoteAddress }: Link, { seal, session }: ServerSetup): void {
  if (seal || session.plain || transport !== "tcp" && transport !== "ws") return;
  if (!("hostname" in remoteAddress) || isPrivateAddress(remoteAddress.hostname)) return;
  throw stop(
    `to ${formatPipeAddress(remoteAddress)}: nothing protects them; use seal or TLS, or say plain: true`,
  );
}

function checked(session: SessionServerOptions, options: ListenOptions): CheckedSessionOptions {
  const { authorize, commit, plain = false, maxHandshakes = 256, maxHandshakesPerAddress = 64 } = session;
  const { maxSessions = options.maxConnections ?? 10_000, maxPerPeer = options.maxPerAddress ?? Infinity } =
    session;
  const { backlog = 128, memoryLimit = 256 * 1024 * 1024, handshakeTimeout = 5000 } = session;
  if (typeof plain !== "boolean") throw stop(`plain must be true or false, got ${JSON.stringify(plain)}`);
  const counts = { maxSessions, maxPerPeer, backlog, memoryLimit, maxHandshakes, maxHandshakesPerAddress };
  for (const [name, value] of Object.entries(counts)) {
    if (value !== Infinity) checkNumber("serve sessions", name, value, { from: 1 });
  }
  checkNumber("serve sessions", "handshakeTimeout", handshakeTimeout, { above: true });
  for (const [name, value] of Object.entries({ authorize, commit })) {
    if (value !== undefined) checkFunction("serve sessions", name, value);
  }
  return { ...counts, plain, handshakeTimeout, authorize, commit };
}

function sealOf({ key, identity, clients }: SessionServerSealOptions, authorized: boolean): ServerSeal {
  if (!key && !clients && !authorized) {
    throw stop("seal without key needs clients, or authorize: it must be said who is let in");
  }
  const admit = (client: Uint8Array | null): boolean =>
    clients === undefined || client !== null && clients.some((one) => isSame(one, client));
  return { sharedKey: key, identity, admit };
}

/** What is over TLS and has a way to agree of its own is asked that way. */
function offering(place: PipeUrl | null, options: ListenOptions): ListenOptions {
  const { tls, transports = [] } = options;
  return {
    ...options,
    ...(tls && place?.transport === "tls"
      ? { tls: { ...tls, alpnProtocols: [ALPN, ...(tls.alpnProtocols ?? [])] } }
      : {}),
    transports: transports.map((one) => one.offering?.(SUBPROTOCOL) ?? one),
  };
}

function stop(why: string): TypeError {
  return new TypeError(`Cannot serve sessions: ${why}`);
}
