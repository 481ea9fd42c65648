/** The least server of sessions: what a test of clients needs, and nothing that would hide their faults. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { formatPipeAddress, parsePipeUrl } from "../pipes/address.ts";
import type { Link } from "../pipes/_link.ts";
import type { ListenOptions } from "../pipes/listen.ts";
import type { Rejection, ServerSeal } from "../pipes/resume/_handshake.ts";
import type { NewSession } from "../pipes/resume/_handshake.ts";
import { SessionCore } from "../pipes/resume/_core.ts";
import { ServerHandshake } from "../pipes/resume/_server_handshake.ts";
import { Session } from "../pipes/resume/_session.ts";
import { sessionPipe } from "../pipes/resume/_session_pipe.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import type { PipeTransport } from "../pipes/_transport.ts";
import { transportOf } from "../pipes/_transports.ts";

/** How a {@linkcode SessionServer} is set up. */
export interface SessionServerOptions {
  readonly seal?: ServerSeal;
  readonly window?: number;
  readonly expiry?: number;
  readonly keepalive?: number;
  readonly clock?: Clock;
  readonly tls?: ListenOptions["tls"];
  readonly transports?: readonly PipeTransport[];
  /** Says no to a new session. */
  readonly refuse?: () => Rejection | null;
}

/** One session of the server. */
export interface Served {
  readonly session: Session;
  readonly pipe: SessionPipe;
}

type Confirmed = Extract<ReturnType<ServerHandshake["receive"]>, { type: "confirmed" }>;

interface Known {
  readonly keys: NewSession;
  session: Session | undefined;
}

/** A server of sessions, for tests. */
export class SessionServer implements AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** All connections that came, those that are over too. */
  readonly links: Link[] = [];
  /** What clients are told that want to resume; `null` lets them. */
  answer: Rejection | null = null;
  /** Whether it knows no session any more. */
  forgetful = false;
  /** How many handshakes were begun. */
  handshakes = 0;
  readonly #options: SessionServerOptions;
  readonly #known = new Map<string, Known>();
  readonly #fresh: Served[] = [];
  readonly #served: Served[] = [];
  readonly #close: () => Promise<void>;
  readonly #accepting: Promise<void>;
  #waiting: ((served: Served) => void)[] = [];

  private constructor(
    listener: Awaited<ReturnType<PipeTransport["listen"]>>,
    options: SessionServerOptions,
    path: string,
  ) {
    this.#options = options;
    const [address] = listener.addresses;
    if (!address) throw new Error("Cannot serve: no address");
    this.url = `resume+${formatPipeAddress(address)}${path}`;
    this.#close = () => listener.close();
    this.#accepting = this.#accept(() => listener.accept());
  }

  /** Starts one. */
  static async start(url: string, options: SessionServerOptions = {}): Promise<SessionServer> {
    const place = parsePipeUrl(url, "listen");
    const { transports = [], tls } = options;
    const listener = await transportOf(place.transport, transports).listen(place, {
      transports,
      ...(tls ? { tls } : {}),
    });
    return new SessionServer(listener, options, /^wss?:\/\/[^/]+(\/.*)$/.exec(url)?.[1] ?? "");
  }

  /** The next session that was opened. */
  next(): Promise<Served> {
    const served = this.#fresh.shift();
    return served ? Promise.resolve(served) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the connection that came last. */
  cut(): void {
    this.links.at(-1)?.abort();
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#accepting;
    for (const { pipe } of this.#served) pipe.abort();
    for (const link of this.links) link.abort();
  }

  async #accept(accept: () => Promise<Link | null>): Promise<void> {
    for (;;) {
      let link: Link | null;
      try {
        link = await accept();
      } catch {
        // It was gone before it was accepted.
        continue;
      }
      if (!link) return;
      this.links.push(link);
      this.#shake(link).catch(() => link.abort());
    }
  }

  async #shake(link: Link): Promise<void> {
    const { seal, window = 1 << 22, expiry = 60_000, keepalive = 0, refuse } = this.#options;
    await link.ready?.();
    this.handshakes++;
    const limits = { window, expiry, keepalive };
    const handshake = new ServerHandshake({ find: (id) => this.#find(id), limits, refuse, seal });
    const buffer = new Uint8Array(1024);
    for (;;) {
      const chunk = await link.read(buffer);
      if (!chunk) return link.abort();
      const step = handshake.receive(chunk);
      if (step.type === "welcomed") {
        this.#known.set(step.session.id.toHex(), { keys: step.session, session: undefined });
      }
      if (step.type !== "confirmed" && step.send) await link.write(step.send);
      if (step.type === "failed") return await link.close();
      if (step.type === "confirmed") return this.#confirmed(link, step);
    }
  }

  /** Tells the client of a session that is closed so once more. */
  async #again(
    link: Link,
    { core }: Session,
    { peerReceived, codec }: Pick<Confirmed, "peerReceived" | "codec">,
  ): Promise<void> {
    const carrier = core.attach(peerReceived);
    for (let bytes = carrier.next(); bytes; bytes = carrier.next()) {
      await link.write(codec ? codec.seal(bytes) : bytes);
    }
    await link.close();
  }

  #find(id: Uint8Array): ReturnType<ConstructorParameters<typeof ServerHandshake>[0]["find"]> {
    const known = this.#known.get(id.toHex());
    if (!known || this.forgetful) return undefined;
    const { keys, session } = known;
    return {
      ...keys,
      epoch: session?.epoch ?? 0,
      received: () => session?.core.received ?? 0,
      ...(this.answer ? { rejection: this.answer } : {}),
    };
  }

  #confirmed(
    link: Link,
    step: Confirmed,
  ): void | Promise<void> {
    const known = this.#known.get(step.id.toHex());
    if (!known) return link.abort();
    if (known.session?.over && known.session.core.complete) return this.#again(link, known.session, step);
    known.session?.attach({ link, ...step });
    if (known.session) return;
    const { clock = systemClock, seal } = this.#options;
    const { id, terms: { window, keepalive, expiry } } = known.keys;
    const now = (): number => clock.monotonic();
    const session = known.session = new Session({
      role: "server",
      id,
      core: new SessionCore({ role: "server", window, keepalive, now }),
      expiry,
      secrecy: seal ? "sealed" : "plain",
      peerKey: step.client,
      clock,
      owner: { suspended() {}, ended() {} },
    });
    const pipe = sessionPipe(
      session,
      { clock },
      () => Promise.reject(new TypeError("Cannot move: a server")),
    );
    void session.attach({ link, ...step });
    const served = { session, pipe };
    this.#served.push(served);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(served);
    else this.#fresh.push(served);
  }
}
