/** The server of a tunnel itself. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import { formatPipeAddress } from "../address.ts";
import { splitResume } from "../address.ts";
import { abortSession } from "../resume/_session_pipe.ts";
import type { SessionPipe } from "../resume/session.ts";
import { serveSessions } from "../resume/serve_sessions.ts";
import type { SessionServer } from "../resume/session_server.ts";
import type { SessionCaller, SessionServerSealOptions } from "../resume/session_server_options.ts";
import { Admission } from "./_admission.ts";
import { NO_GREETING, NOT_ALLOWED, REVOKED, UNREACHABLE } from "./_codes.ts";
import { shownPeer } from "./_flow.ts";
import { Flows } from "./_flows.ts";
import { ReverseListeners } from "./_reverse_listeners.ts";
import { decodeGreeting, type Greeting } from "./_greeting.ts";
import { dialInner } from "./_inner.ts";
import { given } from "./_given.ts";
import type { ServeTunnelOptions } from "./serve_tunnel.ts";
import { formatTarget } from "./target.ts";
import type { Tunnel, TunnelConnection, TunnelDrainOptions, TunnelEvent } from "./tunnel.ts";

/** What says that a connection stands. */
const STANDS = new Uint8Array(1);

/** It. */
export class TunnelListener implements Tunnel {
  readonly #server: SessionServer;
  readonly #admission: Admission;
  readonly #options: ServeTunnelOptions;
  readonly #clock: Clock;
  readonly #flows: Flows;
  readonly #reverses: ReverseListeners;
  readonly #stop = new AbortController();
  readonly #serving: Promise<void>;
  readonly #running = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  private constructor(server: SessionServer, admission: Admission, options: ServeTunnelOptions) {
    const { clock = systemClock } = options;
    this.#server = server;
    this.#admission = admission;
    this.#options = options;
    this.#clock = clock;
    this.#flows = new Flows(clock);
    server.on(
      "trouble",
      ({ error }) => this.#flows.trouble(error instanceof Error ? error.message : String(error)),
    );
    server.on("refused", ({ from, error }) => {
      const message = error instanceof Error ? error.message : String(error);
      this.#flows.refused(formatPipeAddress(from), null, "handshake", message);
    });
    this.#reverses = new ReverseListeners(clock, {
      listening: (address) => this.#flows.listening(address, null, "here"),
      refused: (from, code, message) => this.#flows.refused(shownPeer(from), null, code, message),
    });
    admission.watch({
      changed: (keys) => this.#changed(keys),
      failed: (message) => this.#flows.trouble(message),
    });
    this.#serving = this.#serve();
  }

  /**
   * Starts it.
   *
   * @param url Where.
   * @param options Who is let in, and to what.
   */
  static async start(url: string, options: ServeTunnelOptions): Promise<TunnelListener> {
    const { key, plain = false, authorized, network, transports, clock, signal, tls } = options;
    const stop = (why: string): TypeError => new TypeError(`Cannot serve a tunnel: ${why}`);
    if (!key && !plain) throw stop("without a key it must say plain: true");
    if (key && plain) throw stop("with a key it is not plain");
    if (authorized !== undefined && !key) throw stop("without a key nobody can show one");
    if (key?.type === "pair" && authorized === undefined) {
      throw stop("a key pair needs authorized: who is let in");
    }
    const admission = await Admission.open(options, authorized, clock);
    const seal: SessionServerSealOptions | undefined = key && {
      ...(key.type === "pair" ? { identity: key } : { key: key.bytes }),
      ...(admission.keys ? { clients: admission.keys } : {}),
    };
    try {
      const server = await serveSessions(`resume+${splitResume(url).rest}`, {
        ...given({ network, transports, clock, signal, tls }),
        session: {
          ...{ expiry: options.expiry ?? 86_400_000, plain },
          ...given({ seal, window: options.window }),
          maxSessions: options.maxConnections ?? 4096,
          maxPerPeer: options.maxPerClient ?? 1024,
          authorize: (caller) => isAllowed(caller, admission),
        },
      });
      return new TunnelListener(server, admission, options);
    } catch (error) {
      admission[Symbol.dispose]();
      throw error;
    }
  }

  get addresses(): readonly string[] {
    return this.#server.addresses.map(formatPipeAddress);
  }

  get connections(): readonly TunnelConnection[] {
    return this.#flows.status;
  }

  get closed(): Promise<void> {
    return this.#serving;
  }

  on<T extends TunnelEvent["type"]>(
    type: T,
    handler: (event: EventOf<TunnelEvent, T>) => void,
  ): Disposable {
    return this.#flows.on(type, handler);
  }

  async drain(options?: TunnelDrainOptions): Promise<number> {
    await this.#reverses.close();
    // Those who come with something new are told to come again; what is there goes on.
    const draining = this.#server.drain(options);
    const cut = await this.#flows.drain(options);
    await this.close();
    await draining;
    return cut;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#admission[Symbol.dispose]();
      this.#stop.abort(new DOMException("The tunnel is closed", "AbortError"));
      this.#flows.abort(0, "the tunnel is closed");
      await this.#reverses.close();
      await this.#server.close();
      await this.#serving;
      await Promise.all(this.#running);
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #serve(): Promise<void> {
    for await (const session of this.#server) {
      const done = this.#handle(session).catch((error) => {
        session.abort(error);
        this.#flows.trouble(error instanceof Error ? error.message : String(error));
      }).finally(() => this.#running.delete(done));
      this.#running.add(done);
    }
    await this.#server.closed;
    // Its signal may have ended it.
    void this.close();
  }

  async #handle(session: SessionPipe): Promise<void> {
    const { greeting, peerKey } = session.session;
    const asked = decodeGreeting(greeting);
    const rules = this.#admission.rulesOf(peerKey);
    // It was right when it was let in; the list may be another one by now.
    if (!rules || !asked) return abortSession(session, asked ? REVOKED : NO_GREETING, "it is not let in");
    if (asked.type === "check") return await this.#answer(session);
    if (asked.type === "take") return await this.#take(session, asked.token);
    if (asked.type === "listen") return await this.#reverses.serve(session, asked.target);
    const allowed = rules.allow(asked.target);
    if (!allowed) return abortSession(session, NOT_ALLOWED, "the target is not allowed");
    await this.#connect(session, asked.type, allowed);
  }

  async #connect(
    session: SessionPipe,
    type: Greeting["type"],
    { target, publicOnly }: {
      readonly target: { hostname: string; port: number };
      readonly publicOnly: boolean;
    },
  ): Promise<void> {
    const facts = {
      target: formatTarget(target),
      from: shownPeer(session),
      key: this.#admission.nameOf(session.session.peerKey),
    };
    await this.#flows.keep(session, facts, async (flow) => {
      const gone = new AbortController();
      using _lost = session.on("error", ({ error, fatal }) => fatal && gone.abort(error));
      const signal = AbortSignal.any([gone.signal, this.#stop.signal]);
      const timeout = this.#options.connectTimeout ?? 10_000;
      try {
        const inner = await dialInner(target, { publicOnly, timeout, signal, clock: this.#clock });
        if (type === "answer") await session.send(STANDS).catch(() => {}); // lost: that is found out below
        await flow.run(inner);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        abortSession(session, UNREACHABLE, message.slice(0, 200));
        this.#flows.refused(facts.from, facts.target, "unreachable", message);
      }
    });
  }

  /** Leads somebody who came to an address of the server's end to the client. */
  async #take(session: SessionPipe, token: Uint8Array): Promise<void> {
    const inner = this.#reverses.take(session, token);
    if (!inner) return abortSession(session, NOT_ALLOWED, "nobody waits for that");
    const key = this.#admission.nameOf(session.session.peerKey);
    await this.#flows.keep(session, { target: null, from: shownPeer(inner), key }, (flow) => flow.run(inner));
  }

  async #answer(session: SessionPipe): Promise<void> {
    try {
      await session.send(STANDS);
      await session.close();
    } catch {
      // Whoever asked is gone.
    }
  }

  #changed(keys: number): void {
    const why = "its key is not let in any more, or not to this";
    const ended = this.#flows.abort(REVOKED, why, ({ session }) => {
      const { peerKey, greeting } = session.session;
      const rules = this.#admission.rulesOf(peerKey);
      const asked = decodeGreeting(greeting);
      if (!rules || !asked) return true;
      return (asked.type === "connect" || asked.type === "answer") && !rules.allow(asked.target);
    }) + this.#reverses.revoke(REVOKED, why, (session, address) => {
      return !this.#admission.rulesOf(session.session.peerKey)?.allowListen(address);
    });
    this.#flows.tell({ type: "authorized", at: this.#clock.now(), keys, ended });
  }
}

/** Whether a session may begin. */
function isAllowed({ greeting, publicKey }: SessionCaller, admission: Admission): boolean {
  const rules = admission.rulesOf(publicKey);
  const asked = decodeGreeting(greeting);
  if (!rules || !asked) return false;
  switch (asked.type) {
    case "connect":
    case "answer":
      return rules.allow(asked.target) !== null;
    case "check":
      return asked.target === null || rules.allow(asked.target) !== null;
    case "listen":
      return rules.allowListen(asked.target);
    case "take":
      return true;
  }
}
