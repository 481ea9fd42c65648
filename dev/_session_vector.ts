/** What the test vectors of the session protocol hold, and both ends that are told what one of them says. */

import { ClientHandshake } from "../pipes/resume/_client_handshake.ts";
import type { ClientSeal, KnownSession, Rejection, ServerSeal } from "../pipes/resume/_handshake.ts";
import type { Terms } from "../pipes/resume/_handshake_frames.ts";
import { type RandomBytes, signingPublicKey } from "../pipes/resume/_keys.ts";
import { ServerHandshake } from "../pipes/resume/_server_handshake.ts";

/** Bytes by name, in hexadecimal. */
export type Hex = Readonly<Record<string, string>>;

/** What one end sends at once. */
export interface VectorMessage {
  /** Who sends it. */
  readonly from: "client" | "server";
  /** What it is. */
  readonly what: string;
  /** The bytes of the carrier, in hexadecimal. */
  readonly bytes: string;
}

/** One carrier. */
export interface VectorHandshake {
  /** What it shows. */
  readonly name: string;
  /** What the client is told; see the description of the file. */
  readonly client: VectorEnd;
  /** What the server is told. */
  readonly server: VectorEnd;
  /** The session that is resumed, before it is; `null` for a new one. */
  readonly session: VectorSession | null;
  /** What the server answers who has proven nothing, or has proven that the session is his. */
  readonly rejection: Required<Rejection> | null;
  /** Everything that is sent, in order. */
  readonly messages: readonly VectorMessage[];
  /** The secrets of a new session. */
  readonly keys: Hex | null;
}

/** What one end of a carrier is told. */
export interface VectorEnd {
  /** Random bytes, by the place where they go, in the order in which they are drawn. */
  readonly random: Hex;
  /** Keys of a sealed carrier; `null` for an open one. */
  readonly seal: Hex | null;
  /** What it wishes. */
  readonly terms: Terms;
  /** What HELLO says to the application, in hexadecimal. */
  readonly greeting: string;
  /** The position that it has received. */
  readonly received: number;
}

/** A session that is resumed. */
export interface VectorSession {
  /** Its name. */
  readonly id: string;
  /** The secret of the client's proofs. */
  readonly clientKey: string;
  /** The secret of the server's proofs. */
  readonly serverKey: string;
  /** What RESUME says. */
  readonly epoch: number;
  /** Whether the server has it. */
  readonly isKnown: boolean;
}

/** A frame of the data phase. */
export interface VectorFrame {
  /** Its name. */
  readonly type: string;
  /** Its offset. */
  readonly offset: number;
  /** Its payload, in hexadecimal. */
  readonly payload: string;
  /** All of it, in hexadecimal. */
  readonly bytes: string;
}

/** The whole file. */
export interface Vectors {
  /** What the fields mean. */
  readonly description: readonly string[];
  /** Carriers. */
  readonly handshakes: readonly VectorHandshake[];
  /** Frames that follow a handshake. */
  readonly frames: readonly VectorFrame[];
}

/** Both ends of a carrier of some vectors. */
export function ends(vector: Omit<VectorHandshake, "messages" | "keys">): {
  readonly client: ClientHandshake;
  readonly server: ServerHandshake;
} {
  const { client, server, session, rejection } = vector;
  const keys = session && { clientKey: bytes(session.clientKey), serverKey: bytes(session.serverKey) };
  const id = bytes(session?.id ?? server.random.id ?? "");
  let known: KnownSession | undefined;
  if (keys && session?.isKnown) {
    known = {
      ...keys,
      epoch: session.epoch - 1,
      received: () => server.received,
      ...(rejection ? { rejection } : {}),
    };
  } else if (!session) {
    known = { clientKey: id, serverKey: id, epoch: 0, received: () => 0 };
  }
  return {
    client: new ClientHandshake({
      wishes: client.terms,
      greeting: bytes(client.greeting),
      random: scripted(client.random),
      seal: client.seal ? clientSeal(client.seal) : undefined,
      session: keys && session
        ? { ...keys, id, epoch: session.epoch, received: () => client.received }
        : undefined,
    }),
    server: new ServerHandshake({
      limits: server.terms,
      random: scripted(server.random),
      find: (wanted) => wanted.toHex() === id.toHex() ? known : undefined,
      refuse: () => session ? null : rejection,
      seal: server.seal ? serverSeal(server.seal) : undefined,
    }),
  };
}

/** Gives chosen bytes, each once and in order. */
function scripted(values: Hex): RandomBytes {
  const left = Object.values(values);
  return (length) => {
    const value = bytes(left.shift() ?? "");
    if (value.length !== length) throw new Error(`Cannot give ${length} bytes: ${value.length} are next`);
    return value;
  };
}

function clientSeal({ sharedKey, serverPublicKey, clientSeed }: Hex): ClientSeal {
  return {
    sharedKey: optional(sharedKey),
    serverKeys: serverPublicKey === undefined ? undefined : [bytes(serverPublicKey)],
    identity: identity(clientSeed),
  };
}

function serverSeal({ sharedKey, clientPublicKey, serverSeed }: Hex): ServerSeal {
  return {
    sharedKey: optional(sharedKey),
    identity: identity(serverSeed),
    admit: clientPublicKey === undefined ? undefined : (client) => client?.toHex() === clientPublicKey,
  };
}

function identity(seed: string | undefined): ClientSeal["identity"] {
  return seed === undefined ? undefined : { seed: bytes(seed), publicKey: signingPublicKey(bytes(seed)) };
}

function optional(hex: string | undefined): Uint8Array | undefined {
  return hex === undefined ? undefined : bytes(hex);
}

/** Bytes out of hexadecimal. */
export function bytes(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex);
}
