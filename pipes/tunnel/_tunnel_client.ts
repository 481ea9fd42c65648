/** The client of a tunnel itself. */

import { type Clock, systemClock } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import { retry } from "../../recover/retry.ts";
import { splitResume } from "../address.ts";
import { connect, type ConnectOptions } from "../connect.ts";
import type { Pipe } from "../pipe.ts";
import type { SessionPipe } from "../resume/session.ts";
import type { SessionSealOptions } from "../resume/session_options.ts";
import { shownPeer } from "./_flow.ts";
import { Flows } from "./_flows.ts";
import { given } from "./_given.ts";
import { encodeGreeting, type Greeting } from "./_greeting.ts";
import { type InnerListener, listenInner } from "./_inner.ts";
import { failureOf, refusalOf } from "./_tunnel_failure.ts";
import type { OpenTunnelOptions, TunnelClientEnd, TunnelForward } from "./open_tunnel.ts";
import { formatTarget, parseTarget, type TunnelTarget } from "./target.ts";
import type { TunnelConnection, TunnelDrainOptions, TunnelEvent } from "./tunnel.ts";

/** How many connections are begun at once; the next ones wait. A server takes no more than 64 from one address. */
const OPENING = 32;

/** It. */
export class TunnelClient implements TunnelClientEnd {
  readonly #server: string;
  readonly #options: OpenTunnelOptions;
  readonly #connect: ConnectOptions;
  readonly #clock: Clock;
  readonly #flows: Flows;
  readonly #listeners: InnerListener[] = [];
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #closed = Promise.withResolvers<void>();
  #opening = 0;
  readonly #queue: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  private constructor(server: string, options: OpenTunnelOptions) {
    const { clock = systemClock } = options;
    this.#server = `resume+${splitResume(server).rest}`;
    this.#options = options;
    this.#clock = clock;
    this.#connect = connectOptions(options);
    this.#flows = new Flows(clock);
  }

  /**
   * Starts it.
   *
   * @param server Where the server is.
   * @param options The key, and what to forward.
   */
  static async start(server: string, options: OpenTunnelOptions): Promise<TunnelClient> {
    options.signal?.throwIfAborted();
    const client = new TunnelClient(server, options);
    try {
      for (const forward of options.forwards ?? []) await client.#forward(forward);
    } catch (error) {
      await client.close();
      throw error;
    }
    options.signal?.addEventListener("abort", () => void client.close(), { once: true });
    return client;
  }

  get addresses(): readonly string[] {
    return this.#listeners.flatMap(({ addresses }) => addresses);
  }

  get connections(): readonly TunnelConnection[] {
    return this.#flows.status;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  on<T extends TunnelEvent["type"]>(
    type: T,
    handler: (event: EventOf<TunnelEvent, T>) => void,
  ): Disposable {
    return this.#flows.on(type, handler);
  }

  async check(target?: string): Promise<void> {
    const parsed = target === undefined ? null : parseTarget(target);
    try {
      const session = await this.#session({ type: "check", target: parsed });
      const answer = await session.recv();
      if (answer) await session.close();
      else session.abort();
    } catch (error) {
      throw refusalOf(shownServer(this.#server), parsed && formatTarget(parsed), error);
    }
  }

  async open(target?: string): Promise<SessionPipe> {
    const parsed = target === undefined ? null : parseTarget(target);
    try {
      return await this.#session({ type: "connect", target: parsed });
    } catch (error) {
      throw refusalOf(shownServer(this.#server), parsed && formatTarget(parsed), error);
    }
  }

  async reconnect(): Promise<number> {
    const moved = await Promise.allSettled([...this.#flows.all].map(({ session }) => session.migrate()));
    return moved.filter(({ status }) => status === "fulfilled").length;
  }

  async drain(options?: TunnelDrainOptions): Promise<number> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    const cut = await this.#flows.drain(options);
    await this.close();
    return cut;
  }

  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#stop.abort(new DOMException("The tunnel is closed", "AbortError"));
      this.#flows.abort(0, "the tunnel is closed");
      await Promise.all(this.#listeners.map((listener) => listener.close()));
      await Promise.all(this.#running);
      this.#closed.resolve();
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Opens a session, in turn. */
  async #session(greeting: Greeting): Promise<SessionPipe> {
    while (this.#opening >= OPENING) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#opening++;
    try {
      const { session, ...rest } = this.#connect;
      const options = { ...session, greeting: encodeGreeting(greeting) };
      return await connect(this.#server, {
        ...rest,
        session: options,
        signal: this.#stop.signal,
      }) as SessionPipe;
    } finally {
      this.#opening--;
      this.#queue.shift()?.();
    }
  }

  async #forward({ listen, to }: TunnelForward): Promise<void> {
    const target = to === undefined ? null : parseTarget(to);
    const { maxConnections = 1024 } = this.#options;
    const listener = await listenInner(parseTarget(listen, "listen"), { clock: this.#clock, maxConnections });
    this.#listeners.push(listener);
    for (const address of listener.addresses) {
      this.#flows.listening(address, target && formatTarget(target), "here");
    }
    this.#run(async () => {
      for await (const inner of listener.pipes) this.#run(() => this.#carry(inner, target));
    });
  }

  /** Carries one connection of a program. */
  async #carry(inner: Pipe, target: TunnelTarget | null): Promise<void> {
    const facts = { target: target && formatTarget(target), from: shownPeer(inner) };
    try {
      const session = await this.#session({ type: "connect", target });
      await this.#flows.keep(session, facts, (flow) => flow.run(inner));
    } catch (error) {
      inner.abort(error);
      if (this.#stop.signal.aborted) return;
      const known = refusalOf(shownServer(this.#server), facts.target, error);
      const { code, message } = failureOf(known, "tunnel");
      this.#flows.refused(facts.from, facts.target, code, message);
    }
  }

  #run(work: () => Promise<void>): void {
    const done = work().catch((error) => {
      this.#flows.trouble(error instanceof Error ? error.message : String(error));
    }).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }
}

/** A server as its owner would write it. */
function shownServer(url: string): string {
  return url.replace(/^resume\+(?:tcp:\/\/)?/, "");
}

function connectOptions(options: OpenTunnelOptions): ConnectOptions {
  const { key, serverKeys, plain = false, timeout = 30_000 } = options;
  const { expiry = 3_600_000, window, keepalive, endpoints = [] } = options;
  const { network, proxy, tls, transports, exec, clock, logger } = options;
  const stop = (why: string): TypeError => new TypeError(`Cannot open a tunnel: ${why}`);
  if (!key && !plain) throw stop("without a key it must say plain: true");
  if (key && plain) throw stop("with a key it is not plain");
  if (key?.type === "pair" && !serverKeys?.length) {
    throw stop("a key pair needs serverKeys: who the server is");
  }
  const seal: SessionSealOptions | undefined = key && {
    ...(key.type === "pair" ? { identity: key } : { key }),
    ...(serverKeys ? { serverKeys } : {}),
  };
  return {
    ...given({ network, proxy, tls, transports, exec, clock, logger }),
    timeout,
    retry: retry({
      maxAttempts: 1000,
      deadline: timeout,
      operation: "connect",
      idempotent: true,
      ...given({ clock, network }),
    }),
    session: {
      ...{ expiry, plain },
      ...given({ seal, window, keepalive }),
      endpoints: endpoints.map((url) => `resume+${splitResume(url).rest}`),
    },
  };
}
