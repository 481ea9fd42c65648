/** The link to one broker over all its connections: whatever happens, it comes back, unless it is told not to. */

import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import { type Logger, loggerOr, logUncaught } from "../internal/log.ts";
import type { NetworkView, NetworkViewEvent, NetworkViewState } from "../internal/network_view.ts";
import { BackoffCounter } from "../recover/_backoff_counter.ts";
import { isNear } from "../recover/_near.ts";
import { orAbort } from "../recover/_or_abort.ts";
import { classify } from "../recover/classify.ts";
import type { DialTlsOptions } from "../recover/dial.ts";
import type { BrokerLink, BrokerOpenOptions, BrokerState } from "./_broker.ts";
import type { MqttAddress } from "./_mqtt_address.ts";
import { reconnectBackoff } from "./_mqtt_backoff.ts";
import { mqttLibrary } from "./_mqtt_library.ts";
import { mqttError, type MqttFailure } from "./_mqtt_refusal.ts";
import { MqttSession, type MqttVersion } from "./_mqtt_session.ts";
import { openMqttStream } from "./_mqtt_stream.ts";
import { TokenBucket, type TokenRate } from "./_token_bucket.ts";

/** What a {@linkcode MqttLink} is made of. */
export interface MqttPlan {
  /** The broker's URL, without its login. */
  readonly url: string;
  /** Where it is. */
  readonly address: MqttAddress;
  /** The user's name. */
  readonly username: string | undefined;
  /** The password. */
  readonly password: string | undefined;
  /** What is asked of the other end in TLS. */
  readonly tls: DialTlsOptions;
  /** What may be sent, `null` for everything. */
  readonly rate: TokenRate | null;
  /** How often the broker is asked whether it lives, in milliseconds. */
  readonly keepalive: number;
  /** How long a connection may take until every topic is subscribed, in milliseconds. */
  readonly connectTimeout: number;
  /** The topic for messages to ourselves, `null` for none. */
  readonly canary: string | null;
  /** How often one is sent, in milliseconds. */
  readonly canaryInterval: number;
  /** The most bytes that a packet from the broker may have. */
  readonly maxIncoming: number;
}

/** How long an answer is waited for: in quiet times, and when the network has changed; in milliseconds. */
const [PATIENCE, PROBE_PATIENCE] = [3500, 1500];

/** How long a message to ourselves may take, in milliseconds. */
const CANARY_PATIENCE = 5000;

/** The least time between two attempts that others ask for, in milliseconds. */
const PROBE_INTERVAL = 1000;

/** A broker that is busy is left alone for this long at least, in milliseconds. */
const BUSY_WAIT = 5000;

/** A connection that lasted for so long was a good one, in milliseconds. */
const STEADY = 5000;

/** Brokers that name each other are followed this often. */
const MAX_MOVES = 3;

/** What is left to a broker that said it was sent too much: at first, and at the least. */
const [SLOW, SLOWEST] = [{ perSecond: 5, burst: 20 }, { perSecond: 0.5, burst: 2 }];

/** The link. */
export class MqttLink implements BrokerLink {
  onMessage: BrokerLink["onMessage"];
  onState: BrokerLink["onState"];
  onRefused: BrokerLink["onRefused"];
  readonly #plan: MqttPlan;
  readonly #clock: Clock;
  readonly #network: NetworkView | undefined;
  readonly #logger: Logger | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #closing = new AbortController();
  readonly #finished: Promise<void>;
  readonly #watching: Disposable | undefined;
  readonly #wanted = new Set<string>();
  readonly #abort = (): void => void this[Symbol.asyncDispose]();
  #state: BrokerState = "connecting";
  #bucket: TokenBucket;
  #backoff: BackoffCounter;
  #will: { readonly topic: string; readonly payload: Uint8Array } | undefined;
  #session: MqttSession | undefined;
  #address: string | null = null;
  #localAddress = "";
  #version: MqttVersion = 5;
  /** Whether the broker is known to speak that version. */
  #versionKnown = false;
  #target: MqttAddress;
  #moves = 0;
  /** The broker did not send back the last message to ourselves: it has to, before it counts as being up. */
  #distrusted = false;
  #attemptAt = -Infinity;
  #wake: (() => void) | undefined;
  #canaryTimer: Timer | undefined;
  #toldDown = false;

  constructor(plan: MqttPlan, options: BrokerOpenOptions) {
    this.#plan = plan;
    this.#target = plan.address;
    this.#clock = options.clock ?? systemClock;
    this.#network = options.network;
    this.#logger = options.logger;
    this.#signal = options.signal;
    this.#bucket = new TokenBucket(plan.rate, this.#clock.monotonic());
    this.#backoff = this.#newBackoff();
    this.#watching = this.#network?.subscribe((event) => this.#networkEvent(event));
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
    this.#finished = this.#run();
    if (this.#signal?.aborted) this.#abort();
  }

  get state(): BrokerState {
    return this.#state;
  }

  get maxPacket(): number | null {
    return this.#session?.maxPacket ?? null;
  }

  get address(): string | null {
    return this.#address;
  }

  publish(topic: string, payload: Uint8Array): boolean {
    if (this.#state !== "up" || !this.#session) return false;
    return this.#bucket.take(this.#clock.monotonic()) && this.#session.publish(topic, payload);
  }

  subscribe(topic: string): void {
    if (this.#wanted.has(topic)) return;
    this.#wanted.add(topic);
    // While connecting, whoever connects asks for all of them.
    if (this.#session && this.#state === "up") void this.#ask(this.#session, topic);
  }

  unsubscribe(topic: string): void {
    if (this.#wanted.delete(topic)) this.#session?.unsubscribe(topic);
  }

  setWill(topic: string, payload: Uint8Array): void {
    this.#will = { topic, payload: payload.slice() };
  }

  probe(): void {
    if (this.#session) {
      this.#session.ask(PROBE_PATIENCE);
    } else this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(mqttError(this.#plan.url, "it was closed", "closed"));
      this.#signal?.removeEventListener("abort", this.#abort);
      this.#watching?.[Symbol.dispose]();
    }
    await this.#finished;
  }

  /** One connection after the other. */
  async #run(): Promise<void> {
    // Whoever opens the link sets its handlers first.
    await null;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const failure = await this.#connection();
      this.#session = undefined;
      this.#address = null;
      if (signal.aborted) break;
      if (failure.verdict === "stop") {
        loggerOr(this.#logger).error(failure.error.message);
        this.#set("stopped", failure.error);
        return;
      }
      const delay = this.#after(failure);
      // What is done at once, in the other version or at the other server, is a part of connecting.
      if (delay === 0 && this.#state !== "up") loggerOr(this.#logger).debug(failure.error.message);
      else this.#tellDown(failure.error);
      if (delay > 0) await this.#pause(delay, failure.verdict === "busy" || failure.verdict === "quota");
    }
    this.#set("stopped");
  }

  /** Connects, and stays until the connection has ended. */
  async #connection(): Promise<MqttFailure> {
    const attempt = new AbortController();
    const close = (): void => attempt.abort(this.#closing.signal.reason);
    this.#closing.signal.addEventListener("abort", close, { once: true });
    let deadline: Timer | undefined;
    let session: MqttSession | undefined;
    try {
      if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
      await this.#online(attempt.signal);
      this.#attemptAt = this.#clock.monotonic();
      this.#backoff.begin();
      const { connectTimeout, url } = this.#plan;
      deadline = this.#clock.after(connectTimeout, () => {
        attempt.abort(mqttError(url, `there is no connection after ${connectTimeout} ms`, "timeout"));
      });
      session = await this.#open(attempt.signal);
      const opened = session;
      attempt.signal.addEventListener("abort", () => {
        if (this.#closing.signal.aborted) void opened.close();
        else opened.end({ verdict: "later", error: attempt.signal.reason });
      }, { once: true });
      if (await this.#subscribed(session)) {
        deadline.cancel();
        this.#isUp(session);
      }
      return await this.#ended(session);
    } catch (error) {
      if (session) await session.close();
      return this.#failureOf(error);
    } finally {
      deadline?.cancel();
      this.#canaryTimer?.cancel();
      this.#closing.signal.removeEventListener("abort", close);
    }
  }

  /** Waits until there is a network; what lies on this machine or beside it needs none. */
  async #online(signal: AbortSignal): Promise<void> {
    const network = this.#network;
    if (!network || network.state.online || isNear(this.#target.hostname, network.state)) return;
    await orAbort(network.online({ signal }), signal);
    this.#backoff.resume();
  }

  async #open(signal: AbortSignal): Promise<MqttSession> {
    const { tls, keepalive, maxIncoming, username, password, url } = this.#plan;
    const library = await mqttLibrary();
    const { stream, address, localAddress } = await openMqttStream(this.#target, {
      tls,
      maxPayload: maxIncoming + 5,
      network: this.#network,
      clock: this.#clock,
      signal,
    });
    if (signal.aborted) {
      stream.destroy();
      throw signal.reason;
    }
    this.#address = address;
    this.#localAddress = localAddress;
    return new MqttSession(stream, {
      library,
      url,
      version: this.#version,
      clientId: newClientId(),
      username,
      password,
      will: this.#will,
      keepalive,
      patience: PATIENCE,
      maxIncoming,
      clock: this.#clock,
      onMessage: (topic, payload) => this.#deliver(topic, payload),
    });
  }

  /** Waits for the broker's welcome, and subscribes whatever is wanted. `false` where the session has ended. */
  async #subscribed(session: MqttSession): Promise<boolean> {
    const over = session.ended.then(() => true);
    if (await Promise.race([session.ready, over])) return false;
    this.#versionKnown = true;
    this.#session = session;
    const asked = new Set<string>();
    for (;;) {
      const missing = [...this.#wanted].filter((topic) => !asked.has(topic));
      if (missing.length === 0) break;
      missing.forEach((topic) => asked.add(topic));
      const all = Promise.all(missing.map((topic) => this.#ask(session, topic)));
      if (await Promise.race([all.then(() => false), over])) return false;
    }
    if (!this.#distrusted || this.#plan.canary === null) return !await Promise.race([over, false]);
    return await this.#canary(session) && !await Promise.race([over, false]);
  }

  async #ask(session: MqttSession, topic: string): Promise<void> {
    const code = await session.subscribe(topic);
    if (code === null || code < 0x80 || this.#session !== session || !this.#wanted.has(topic)) return;
    this.#call(() => this.onRefused?.(topic, code));
  }

  #isUp(session: MqttSession): void {
    this.#moves = 0;
    session.watch();
    if (this.#toldDown) loggerOr(this.#logger).info(`The broker ${this.#plan.url} is back`);
    this.#toldDown = false;
    this.#set("up");
    if (this.#plan.canary === null) return;
    const again = async (): Promise<void> => {
      if (!await this.#canary(session) || this.#session !== session) return;
      this.#canaryTimer = this.#clock.after(this.#plan.canaryInterval, () => void again());
    };
    void again();
  }

  /** Sends a message to ourselves. `false` where that is not possible here, or the session has ended. */
  async #canary(session: MqttSession): Promise<boolean> {
    const topic = this.#plan.canary;
    if (topic === null) return false;
    const code = await session.subscribe(topic, true);
    if (code === null || code >= 0x80) return this.#distrusted = false;
    const back = await session.canary(topic, CANARY_PATIENCE);
    if (!back) return false;
    this.#distrusted = false;
    this.#backoff = this.#newBackoff();
    return true;
  }

  async #ended(session: MqttSession): Promise<MqttFailure> {
    const since = this.#clock.monotonic();
    const failure = await session.ended;
    const wasUp = this.#state === "up";
    if (wasUp && this.#clock.monotonic() - since > STEADY) this.#backoff = this.#newBackoff();
    return failure;
  }

  /** What follows from a failure: the milliseconds to wait before the next attempt. */
  #after({ verdict, error, servers = [] }: MqttFailure): number {
    if (codeOf(error) === "black-hole") this.#distrusted = true;
    if (verdict === "version" && !this.#versionKnown) {
      this.#version = this.#version === 5 ? 4 : 5;
      // Both have been tried by then.
      if (this.#version === 4) return 0;
    }
    if (verdict === "quota") this.#slowDown();
    const [server] = servers;
    if (verdict === "another" && server && this.#moves++ < MAX_MOVES) {
      this.#target = { ...this.#target, ...server };
      this.#versionKnown = false;
      return 0;
    }
    // Where the other server is of no use, it is the old one's turn again.
    this.#target = this.#plan.address;
    this.#backoff.failed(classify(error).kind);
    const delay = this.#backoff.next();
    return verdict === "busy" || verdict === "quota" || verdict === "another" ? delay + BUSY_WAIT : delay;
  }

  #slowDown(): void {
    const { rate } = this.#bucket;
    const next = rate === null || rate.perSecond > SLOW.perSecond ? SLOW : {
      perSecond: Math.max(SLOWEST.perSecond, rate.perSecond / 2),
      burst: Math.max(SLOWEST.burst, rate.burst / 2),
    };
    this.#bucket = new TokenBucket(next, this.#clock.monotonic());
    loggerOr(this.#logger).warn(
      `The broker ${this.#plan.url} gets ${next.perSecond} packets a second from now on`,
    );
  }

  /** Waits, until somebody has a reason to try at once; a broker that asked to be left alone is left alone. */
  #pause(milliseconds: number, firm: boolean): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#wake = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      const end = this.#clock.monotonic() + milliseconds;
      let timer = this.#clock.after(milliseconds, done);
      if (!firm) {
        this.#wake = () => {
          this.#wake = undefined;
          timer.cancel();
          const now = this.#clock.monotonic();
          timer = this.#clock.after(Math.max(0, Math.min(end, this.#attemptAt + PROBE_INTERVAL) - now), done);
        };
      }
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  #networkEvent(event: NetworkViewEvent): void {
    const major = event.type === "change" && event.major !== "none";
    if (!major && event.type !== "wake" && event.type !== "online") return;
    this.#backoff.resume();
    const state = this.#network?.state;
    if (this.#session && state && !hasAddress(state, this.#localAddress)) {
      const error = mqttError(this.#plan.url, `its local address ${this.#localAddress} is gone`, "lost");
      this.#session.end({ verdict: "later", error });
    } else this.probe();
  }

  #deliver(topic: string, payload: Uint8Array): void {
    if (this.#wanted.has(topic)) this.#call(() => this.onMessage?.(topic, payload));
  }

  #tellDown(error: Error): void {
    const { warn, debug } = bound(loggerOr(this.#logger));
    if (this.#toldDown) debug(error.message);
    else warn(error.message);
    this.#toldDown = true;
    this.#set("down", error);
  }

  #set(state: BrokerState, reason?: Error): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#call(() => this.onState?.(state, reason));
  }

  /** The owner's handlers are his own business. */
  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      logUncaught(this.#logger, `A handler of the broker ${this.#plan.url} threw`, error);
    }
  }

  #failureOf(error: unknown): MqttFailure {
    // No attempt of ours will change that.
    const verdict = error instanceof PermissionError || error instanceof TypeError ? "stop" : "later";
    if (error instanceof PermissionError || codeOf(error) !== undefined) {
      return { verdict, error: error as Error };
    }
    const why = error instanceof Error ? error.message : String(error);
    return { verdict, error: mqttError(this.#plan.url, why, "connect", error) };
  }

  #newBackoff(): BackoffCounter {
    return new BackoffCounter(reconnectBackoff(Math.random), this.#network, Math.random);
  }
}

const OURS: readonly unknown[] = ["timeout", "closed", "lost", "black-hole"];

/** The code of an error that a link made. */
function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "operation" in error && "code" in error ? error.code : undefined;
  return OURS.includes(code) ? code as string : undefined;
}

function bound(logger: Logger): Pick<Logger, "warn" | "debug"> {
  return { warn: (message) => logger.warn(message), debug: (message) => logger.debug(message) };
}

/** Whether an address is still one of this machine's, as far as the network can be seen. */
function hasAddress({ interfaces }: NetworkViewState, address: string): boolean {
  if (interfaces.length === 0 || address === "") return true;
  const [plain] = address.split("%");
  return isLoopbackText(address) ||
    interfaces.some(({ addresses }) => addresses.some((own) => own.address === plain));
}

function isLoopbackText(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** A new name for each connection, so that nobody is thrown out who had it before; 3.1.1 promises room for 23 letters. */
function newClientId(): string {
  const letters = "0123456789abcdefghijklmnopqrstuv";
  return "hf" + [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => letters[byte % 32]).join("");
}
