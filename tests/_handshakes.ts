/** Handshakes of sessions without any carrier: who may listen, change and repeat what both ends say. */

import { ClientHandshake, type ClientHandshakeOptions } from "../pipes/resume/_client_handshake.ts";
import type {
  ClientSeal,
  ClientStep,
  KnownSession,
  NewSession,
  ServerSeal,
  ServerStep,
  SessionKeys,
} from "../pipes/resume/_handshake.ts";
import type { Terms } from "../pipes/resume/_handshake_frames.ts";
import { sha256, signingPublicKey } from "../pipes/resume/_keys.ts";
import { ServerHandshake, type ServerHandshakeOptions } from "../pipes/resume/_server_handshake.ts";

/** What both ends wish where a test does not say. */
export const TERMS: Terms = { window: 1_048_576, expiry: 120_000, keepalive: 15_000 };

/** A key that both ends know. */
export const SHARED: Uint8Array = secret("shared");

/** Who the server is. */
export const SERVER: { readonly seed: Uint8Array; readonly publicKey: Uint8Array } = pair("server");

/** Who the client is. */
export const CLIENT: { readonly seed: Uint8Array; readonly publicKey: Uint8Array } = pair("client");

/** Both ends of an open carrier and of the ways to seal one. */
export const WAYS: Readonly<
  Record<string, { readonly client: ClientSeal | undefined; readonly server: ServerSeal | undefined }>
> = {
  open: { client: undefined, server: undefined },
  "shared key": { client: { sharedKey: SHARED }, server: { sharedKey: SHARED } },
  "pinned key": {
    client: { serverKeys: [SERVER.publicKey], identity: CLIENT },
    server: { identity: SERVER, admit: (client) => client?.toHex() === CLIENT.publicKey.toHex() },
  },
};

/** A secret that is always the same. */
export function secret(name: string): Uint8Array {
  return sha256(new TextEncoder().encode(name));
}

/** A key pair that is always the same. */
export function pair(name: string): { readonly seed: Uint8Array; readonly publicKey: Uint8Array } {
  return { seed: secret(name), publicKey: signingPublicKey(secret(name)) };
}

/** A session as a server keeps it. */
export interface Kept extends KnownSession {
  epoch: number;
  rejection?: KnownSession["rejection"];
}

/** A server that keeps its sessions. */
export class Sessions {
  /** By id, in hexadecimal. */
  readonly kept: Map<string, Kept> = new Map();
  readonly #options: Partial<ServerHandshakeOptions>;

  /** @param options What its handshakes are told. */
  constructor(options: Partial<ServerHandshakeOptions> = {}) {
    this.#options = options;
  }

  /** A handshake on a new carrier; what it decides is kept. */
  accept(): { receive(bytes: Uint8Array): ServerStep } {
    const handshake = new ServerHandshake({
      limits: TERMS,
      find: (id) => this.kept.get(id.toHex()),
      ...this.#options,
    });
    return {
      receive: (bytes) => {
        const step = handshake.receive(bytes);
        if (step.type === "welcomed") {
          this.kept.set(step.session.id.toHex(), { ...step.session, epoch: 0, received: () => 0 });
        }
        if (step.type === "confirmed") this.of(step).epoch = step.epoch;
        return step;
      },
    };
  }

  /** The session of an id. */
  of({ id }: { readonly id: Uint8Array }): Kept {
    const kept = this.kept.get(id.toHex());
    if (!kept) throw new Error(`Cannot find session ${id.toHex()}`);
    return kept;
  }
}

/** What somebody between both ends does with what one of them sends; `n` counts from 0. */
export type Tamper = (bytes: Uint8Array, n: number) => Uint8Array;

/** What was said, and where it led. */
export interface Talk {
  /** What the client sent, as it left it. */
  readonly up: readonly Uint8Array[];
  /** What the server sent, as it left it. */
  readonly down: readonly Uint8Array[];
  /** What the client decided last. */
  readonly client: ClientStep | undefined;
  /** What the server decided last. */
  readonly server: ServerStep | undefined;
  /** All decisions of both, by name. */
  readonly steps: readonly string[];
}

/** Somebody between both ends. */
export interface Between {
  /** Changes what the client sends. */
  readonly up?: Tamper;
  /** Changes what the server sends. */
  readonly down?: Tamper;
  /** In how many bytes at once everything arrives. */
  readonly cut?: number;
}

/** Lets both ends talk until neither has more to say. */
export function talk(
  client: ClientHandshake,
  server: { receive(bytes: Uint8Array): ServerStep },
  between: Between = {},
): Talk {
  const { up = same, down = same, cut = Infinity } = between;
  const said = { up: [client.start()], down: [] as Uint8Array[] };
  const steps: string[] = [];
  let atClient: ClientStep | undefined;
  let atServer: ServerStep | undefined;
  for (let [n, m] = [0, 0]; n < said.up.length || m < said.down.length;) {
    const isUp = n < said.up.length;
    const [list, tamper, index] = isUp ? [said.up, up, n++] : [said.down, down, m++];
    const bytes = tamper(list[index] ?? new Uint8Array(0), index);
    for (let at = 0; at < bytes.length && !isOver(isUp ? atServer : atClient); at += cut) {
      // A buffer that is used again, as those of carriers are.
      const part = bytes.slice(at, at + cut);
      const step = isUp ? (atServer = server.receive(part)) : (atClient = client.receive(part));
      part.fill(0xee);
      if (step.type !== "wait") steps.push(`${isUp ? "server" : "client"} ${step.type}`);
      if ("send" in step && step.send) (isUp ? said.down : said.up).push(step.send);
    }
  }
  return { ...said, client: atClient, server: atServer, steps };
}

/** Makes a session on a server. */
export function establish(
  sessions: Sessions,
  options: Partial<ClientHandshakeOptions> = {},
): NewSession & { readonly talk: Talk } {
  let session: NewSession | null = null;
  const client = new ClientHandshake({ wishes: TERMS, ...options });
  const heard = talk(client, sessions.accept());
  if (heard.client?.type === "ready") session = heard.client.session;
  if (!session || heard.server?.type !== "confirmed") {
    throw new Error(`Cannot make a session: ${heard.steps.join()}`);
  }
  return { ...session, talk: heard };
}

/** A client that goes on with a session. */
export function resuming(
  session: SessionKeys & { readonly id: Uint8Array },
  epoch: number,
  options: Partial<ClientHandshakeOptions> = {},
): ClientHandshake {
  const { id, clientKey, serverKey } = session;
  return new ClientHandshake({
    wishes: TERMS,
    session: { id, clientKey, serverKey, epoch, received: () => 0 },
    ...options,
  });
}

/** Why a step failed. */
export function failureOf(step: ClientStep | ServerStep | undefined): string | undefined {
  return step?.type === "failed" ? step.failure.reason : undefined;
}

/** Turns one bit. */
export function flip(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, n) => n === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte);
}

function same(bytes: Uint8Array): Uint8Array {
  return bytes;
}

function isOver(step: ClientStep | ServerStep | undefined): boolean {
  return step?.type === "failed" || step?.type === "confirmed" || step?.type === "stands";
}
