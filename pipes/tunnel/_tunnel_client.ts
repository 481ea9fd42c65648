/** The client of a tunnel itself. */

import { type Clock, systemClock, wait } from "../../internal/clock.ts";
import type { EventOf } from "../../internal/events.ts";
import { orAbort } from "../../recover/_or_abort.ts";
import { splitResume } from "../address.ts";
import { connect, type ConnectOptions } from "../connect.ts";
import type { Pipe } from "../pipe.ts";
import { abortSession } from "../resume/_session_pipe.ts";
import type { SessionPipe } from "../resume/session.ts";
import { UNREACHABLE } from "./_codes.ts";
import { connectOptionsOf } from "./_connect_options.ts";
import { shownPeer } from "./_flow.ts";
import { Flows } from "./_flows.ts";
import { encodeGreeting, type Greeting, TOKEN } from "./_greeting.ts";
import { dialInner, type InnerListener, listenInner } from "./_inner.ts";
import { answerSocks, readExactly, readSocksRequest, SOCKS, socksCode } from "./_socks5.ts";
import { type Asked, failureOf, refusalOf } from "./_tunnel_failure.ts";
import type { OpenTunnelOptions, TunnelClientEnd, TunnelForward, TunnelReverse } from "./open_tunnel.ts";
import { formatTarget, parseTarget, type TunnelTarget } from "./target.ts";
import type { TunnelConnection, TunnelDrainOptions, TunnelEvent } from "./tunnel.ts";
import { TunnelError } from "./tunnel_error.ts";

/** How many connections are begun at once; the next ones wait. A server takes no more than 64 from one address. */
const OPENING = 32;

/** How long a target at this end is tried, in milliseconds. */
const DIAL = 10_000;

/** After how many milliseconds a server is asked again to listen; twice as many after each failure, up to the second. */
const [SOON, SELDOM] = [500, 15_000];

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
  readonly #controls = new Set<SessionPipe>();
  readonly #closed = Promise.withResolvers<void>();
  #opening = 0;
  readonly #queue: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  private constructor(server: string, options: OpenTunnelOptions) {
    const { clock = systemClock } = options;
    this.#server = `resume+${splitResume(server).rest}`;
    this.#options = options;
    this.#clock = clock;
    this.#connect = connectOptionsOf(options);
    this.#flows = new Flows(clock);
  }

  /**
   * Starts it.
   *
   * @param server Where the server is.
   * @param options The key, and what to forward.
   */
  static async start(server: string, options: OpenTunnelOptions): Promise<TunnelClient> {
    const { forwards = [], socks = [], reverses = [], signal } = options;
    signal?.throwIfAborted();
    const client = new TunnelClient(server, options);
    try {
      for (const forward of forwards) await client.#forward(forward);
      for (const address of socks) await client.#listen(address, "*", (inner) => client.#proxy(inner));
      for (const reverse of reverses) client.#reverse(reverse);
    } catch (error) {
      await client.close();
      throw error;
    }
    const close = (): void => void client.close();
    signal?.addEventListener("abort", close, { once: true });
    void client.closed.then(() => signal?.removeEventListener("abort", close));
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
      throw this.#refusal(parsed, error);
    }
  }

  async open(target?: string): Promise<SessionPipe> {
    const parsed = target === undefined ? null : parseTarget(target);
    try {
      return await this.#session({ type: "connect", target: parsed });
    } catch (error) {
      throw this.#refusal(parsed, error);
    }
  }

  async reconnect(): Promise<number> {
    const all = [...this.#flows.all].map(({ session }) => session);
    const moved = await Promise.allSettled([...all, ...this.#controls].map((session) => session.migrate()));
    return moved.filter(({ status }, n) => n < all.length && status === "fulfilled").length;
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
      for (const control of this.#controls) control.abort();
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
    const { signal } = this.#stop;
    while (this.#opening >= OPENING) {
      await orAbort(new Promise<void>((resolve) => this.#queue.push(resolve)), signal);
    }
    this.#opening++;
    try {
      const { session, ...rest } = this.#connect;
      const options = { ...session, greeting: encodeGreeting(greeting) };
      return await connect(this.#server, { ...rest, session: options, signal }) as SessionPipe;
    } finally {
      this.#opening--;
      this.#queue.shift()?.();
    }
  }

  async #forward({ listen, to }: TunnelForward): Promise<void> {
    const target = to === undefined ? null : parseTarget(to);
    await this.#listen(listen, target && formatTarget(target), (inner) => this.#carry(inner, target));
  }

  async #listen(text: string, target: string | null, work: (inner: Pipe) => Promise<void>): Promise<void> {
    const { maxConnections = 1024 } = this.#options;
    const listener = await listenInner(parseTarget(text, "listen"), { clock: this.#clock, maxConnections });
    this.#listeners.push(listener);
    for (const address of listener.addresses) this.#flows.listening(address, target, "here");
    this.#run(async () => {
      for await (const inner of listener.pipes) this.#run(() => work(inner));
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
      this.#refused(facts.from, target, error);
    }
  }

  /** Carries one connection of a program that says where to. */
  async #proxy(inner: Pipe): Promise<void> {
    let target: TunnelTarget | null = null;
    try {
      target = await readSocksRequest(inner);
      if (!target) return await inner.close();
      const facts = { target: formatTarget(target), from: shownPeer(inner) };
      const session = await this.#session({ type: "answer", target });
      await this.#flows.keep(session, facts, async (flow) => {
        // It stands, or is given up by then.
        await orAbort(session.recv({ into: new Uint8Array(1) }), this.#stop.signal);
        await answerSocks(inner, SOCKS.fine);
        await flow.run(inner);
      });
    } catch (error) {
      const { code } = this.#refused(shownPeer(inner), target, error);
      if (target) await answerSocks(inner, socksCode(code)).catch(() => {}); // gone
      await inner.close();
    }
  }

  /** Has the server listen, again and again. */
  #reverse({ listen, to }: TunnelReverse): void {
    const [address, target] = [parseTarget(listen, "listen"), parseTarget(to)];
    const { signal } = this.#stop;
    this.#run(async () => {
      for (let pause = SOON; !signal.aborted; pause = Math.min(2 * pause, SELDOM)) {
        try {
          const session = await this.#session({ type: "listen", target: address });
          await this.#accept(session, address, target, () => pause = SOON);
        } catch (error) {
          if (signal.aborted) return;
          const asked = { operation: `listen on ${formatTarget(address)}`, rule: "allow-listen" } as const;
          const known = refusalOf(this.#shownServer, asked, error);
          this.#flows.trouble(known instanceof Error ? known.message : String(known));
          // No second attempt would end otherwise; a place that is taken may be free later.
          if (known instanceof TunnelError && known.code !== "listen") return;
        }
        await wait(pause, { signal, clock: this.#clock }).catch(() => {}); // closed
      }
    });
  }

  /** Takes those who come to the server's address. */
  async #accept(
    session: SessionPipe,
    { hostname }: TunnelTarget,
    target: TunnelTarget,
    works: () => void,
  ): Promise<void> {
    this.#controls.add(session);
    try {
      const read = (length: number): Promise<Uint8Array> =>
        readExactly(session as unknown as Pipe, length, null);
      const [high = 0, low = 0] = await read(2);
      works();
      this.#flows.listening(
        formatTarget({ hostname, port: high * 256 + low }),
        formatTarget(target),
        "server",
      );
      for (;;) {
        const token = await read(TOKEN);
        this.#run(() => this.#take(token, target));
      }
    } finally {
      this.#controls.delete(session);
      session.abort();
    }
  }

  async #take(token: Uint8Array, target: TunnelTarget): Promise<void> {
    const facts = { target: formatTarget(target), from: this.#shownServer };
    try {
      const session = await this.#session({ type: "take", token });
      await this.#flows.keep(session, facts, async (flow) => {
        const { signal } = this.#stop;
        try {
          await flow.run(await dialInner(target, { timeout: DIAL, signal, clock: this.#clock }));
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          abortSession(session, UNREACHABLE, why.slice(0, 200));
          throw error;
        }
      });
    } catch (error) {
      this.#refused(facts.from, target, error);
    }
  }

  /** Tells why a connection did not come about. */
  #refused(from: string, target: TunnelTarget | null, error: unknown): { readonly code: string } {
    const failure = failureOf(this.#refusal(target, error), "tunnel");
    const { code, message } = failure;
    if (!this.#stop.signal.aborted) this.#flows.refused(from, target && formatTarget(target), code, message);
    return failure;
  }

  #refusal(target: TunnelTarget | null, error: unknown): unknown {
    const asked: Asked = target
      ? { operation: `open the tunnel to ${formatTarget(target)}`, rule: "to" }
      : { operation: "open the tunnel", rule: null };
    return refusalOf(this.#shownServer, asked, error);
  }

  /** The server as its owner would write it. */
  get #shownServer(): string {
    return this.#server.replace(/^resume\+(?:tcp:\/\/)?/, "");
  }

  #run(work: () => Promise<void>): void {
    const done = work().catch((error) => {
      this.#flows.trouble(error instanceof Error ? error.message : String(error));
    }).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }
}
