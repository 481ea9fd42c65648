/** One connection to one broker, from CONNECT to its end. */

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import type { IClientOptions, IConnackPacket, MqttClient, Packet } from "mqtt";
import type { Clock, Timer } from "../internal/clock.ts";
import type { MqttLibrary } from "./_mqtt_library.ts";
import { noStore } from "./_mqtt_no_store.ts";
import { PacketMeter } from "./_mqtt_meter.ts";
import { mqttError, type MqttFailure, refusalOf } from "./_mqtt_refusal.ts";

/** The versions of the protocol: 3.1.1, whose number is 4, and 5. */
export type MqttVersion = 4 | 5;

/** What a {@linkcode MqttSession} needs. */
export interface MqttSessionOptions {
  /** The client's code. */
  readonly library: MqttLibrary;
  /** The broker's URL, for errors. */
  readonly url: string;
  /** The version to speak. */
  readonly version: MqttVersion;
  /** Our name at the broker. */
  readonly clientId: string;
  /** The user's name, where there is a login. */
  readonly username?: string | undefined;
  /** The password. */
  readonly password?: string | undefined;
  /** What the broker publishes when the connection breaks. */
  readonly will?: { readonly topic: string; readonly payload: Uint8Array } | undefined;
  /** Every so many milliseconds the broker is asked whether it lives. */
  readonly keepalive: number;
  /** For so many milliseconds the answer is waited for. */
  readonly patience: number;
  /** The most bytes that a packet from the broker may have. */
  readonly maxIncoming: number;
  /** Source of time. */
  readonly clock: Clock;
  /** Called for each message. */
  readonly onMessage: (topic: string, payload: Uint8Array) => void;
}

/** As much may wait to be written before nothing more is taken, in bytes. */
const HIGH_WATER = 1024 * 1024;

/** How long a DISCONNECT may take, in milliseconds. */
const LINGER = 500;

/** A timer that fires so much too late says more about us than about the broker, in milliseconds. */
const LATE = 500;

/** What is neither topic nor payload of a PUBLISH at QoS 0, at most: type, length, length of the topic, no properties. */
const OVERHEAD = 1 + 4 + 2 + 1;

/** One connection. `ended` always resolves, with the reason, and is the only place where a failure is told. */
export class MqttSession {
  /** Resolves when the broker has accepted the connection. */
  readonly ready: Promise<void>;
  /** Resolves when the connection has ended, and nothing of it is left. */
  readonly ended: Promise<MqttFailure>;
  readonly #options: MqttSessionOptions;
  readonly #client: MqttClient;
  readonly #stream: Duplex;
  readonly #meter: PacketMeter;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<MqttFailure>();
  #failure: MqttFailure | undefined;
  #connack: IConnackPacket | undefined;
  #lastError: Error | undefined;
  #beat: Timer | undefined;
  #question: { readonly timer: Timer; readonly due: number } | undefined;
  #canary: Canary | undefined;

  /**
   * Sends CONNECT.
   *
   * @param stream The connection, which belongs to the session now.
   * @param options Who we are, and how patient.
   */
  constructor(stream: Duplex, options: MqttSessionOptions) {
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    this.#options = options;
    this.#stream = stream;
    this.#meter = new PacketMeter(options.maxIncoming);
    // Before the client listens, so that nothing reaches it which is too long.
    stream.on("data", (chunk: Uint8Array) => this.#received(chunk));
    stream.on("error", (error: Error) => this.#lastError ??= error);
    // MQTT knows no half-open connections: whoever sends nothing any more has gone.
    stream.on("end", () => stream.destroy());
    this.#client = new options.library.MqttClient(() => stream, clientOptions(options));
    this.#client.on("error", (error) => this.#failed(error));
    this.#client.on("packetreceive", (packet) => this.#packet(packet));
    this.#client.on("connect", () => this.#ready.resolve());
    this.#client.on("message", (topic, payload) => this.#message(topic, payload));
    this.#client.on("close", () => this.#closed());
  }

  /** How many bytes a publish may have with its topic and header, `null` where the broker has not said. */
  get maxPacket(): number | null {
    return this.#connack?.properties?.maximumPacketSize ?? null;
  }

  /** Begins to ask the broker, again and again, whether it lives. */
  watch(): void {
    const server = this.#connack?.properties?.serverKeepAlive;
    const every = server ? Math.min(this.#options.keepalive, server * 500) : this.#options.keepalive;
    const next = (): void => {
      this.ask(this.#options.patience);
      this.#beat = this.#options.clock.after(every, next);
    };
    this.#beat ??= this.#options.clock.after(every, next);
  }

  /**
   * Asks the broker whether it lives; the session ends where it does not say so in time.
   *
   * @param patience How long to wait, in milliseconds.
   */
  ask(patience: number): void {
    const { clock } = this.#options;
    const due = clock.monotonic() + patience;
    if (this.#failure || (this.#question && this.#question.due <= due)) return;
    if (!this.#question) this.#client.sendPing();
    this.#question?.timer.cancel();
    const silent = (): void => {
      this.#question = undefined;
      // The process, or the whole machine, has slept: the answer may be there, and unread.
      if (clock.monotonic() - due > LATE) return this.ask(patience);
      this.end({ verdict: "later", error: this.#error(`it has been silent for ${patience} ms`, "timeout") });
    };
    this.#question = { due, timer: clock.after(patience, silent) };
  }

  /**
   * Publishes at QoS 0.
   *
   * @returns `false` where it could not be handed over.
   */
  publish(topic: string, payload: Uint8Array): boolean {
    if (this.#failure || this.#stream.writableLength > HIGH_WATER) return false;
    if (payload.length + Buffer.byteLength(topic) + OVERHEAD > (this.maxPacket ?? Infinity)) return false;
    this.#client.publish(topic, asBuffer(payload), { qos: 0 });
    return true;
  }

  /**
   * Subscribes one topic at QoS 0.
   *
   * @param topic The topic.
   * @param echo Whether our own messages come, too; brokers of version 3.1.1 send them anyway.
   * @returns The broker's code: 128 and more are refusals. `null` where the session has ended meanwhile.
   */
  async subscribe(topic: string, echo: boolean = false): Promise<number | null> {
    const code = new Promise<number | null>((resolve) => {
      const nl = this.#options.version === 5 && !echo ? { nl: true } : {};
      this.#client.subscribe(topic, { qos: 0, ...nl }, (_error, _granted, packet) => {
        const [code] = packet?.granted ?? [];
        resolve(typeof code === "number" ? code : null);
      });
    });
    return await Promise.race([code, this.ended.then(() => null)]);
  }

  /** Unsubscribes a topic. */
  unsubscribe(topic: string): void {
    if (!this.#failure) this.#client.unsubscribe(topic, () => {});
  }

  /**
   * Sends a message at QoS 1 to ourselves. A broker that does not send it back is of no use, whatever it acknowledges:
   * then the session ends.
   *
   * @param topic Where to; subscribed with `echo`.
   * @param patience How long to wait, in milliseconds.
   * @returns Whether it came back; `false` also where the broker forbids to publish there, or the session has ended.
   */
  async canary(topic: string, patience: number): Promise<boolean> {
    if (this.#failure) return false;
    if (this.#canary) return await this.#canary.back.promise;
    const { clock } = this.#options;
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const back = Promise.withResolvers<boolean>();
    let acknowledged = false;
    const timer = clock.after(patience, () => {
      const why = acknowledged ? "it acknowledges messages and does not deliver them" : "it does not answer";
      this.end({ verdict: "later", error: this.#error(why, acknowledged ? "black-hole" : "timeout") });
    });
    const canary: Canary = { topic, nonce, back, timer, messageId: 0 };
    this.#canary = canary;
    this.#client.publish(topic, Buffer.from(nonce), { qos: 1 }, (error, packet) => {
      if (this.#canary !== canary || this.#failure) return;
      const code = error && "code" in error ? Number(error.code) : 0;
      // A broker without this permission says so in version 5 only.
      if (code >= 0x80) this.#settleCanary(false);
      if (code === 0x97 || code === 0x96) this.end(refusalOf(code, this.#options.url));
      acknowledged = packet !== undefined;
    });
    canary.messageId = this.#client.getLastMessageId();
    return await back.promise;
  }

  /**
   * Ends the connection at once.
   *
   * @param failure Why; the first one counts.
   */
  end(failure: MqttFailure): void {
    this.#failure ??= failure;
    this.#stopTimers();
    this.#client.end(true);
    this.#stream.destroy();
  }

  /** Says goodbye, so that the broker does not publish the will. */
  async close(): Promise<void> {
    if (this.#failure) return void await this.ended;
    // The client would wait for its acknowledgement first.
    if (this.#canary) this.#client.removeOutgoingMessage(this.#canary.messageId);
    this.#failure = { verdict: "stop", error: this.#error("it was closed", "closed") };
    this.#stopTimers();
    const late = this.#options.clock.after(LINGER, () => this.#stream.destroy());
    if (this.#client.connected) this.#client.end(false);
    else this.end(this.#failure);
    await this.ended;
    late.cancel();
  }

  #received(chunk: Uint8Array): void {
    const wrong = this.#meter.push(chunk);
    if (wrong !== null) {
      this.end({ verdict: "later", error: this.#error(wrong, "protocol") });
      return;
    }
    this.#question?.timer.cancel();
    this.#question = undefined;
  }

  #packet(packet: Packet): void {
    const { url } = this.#options;
    if (packet.cmd === "connack") {
      this.#connack = packet;
      const code = packet.reasonCode || packet.returnCode;
      if (code) this.end(refusalOf(code, url, packet.properties?.serverReference));
    } else if (packet.cmd === "disconnect") {
      this.end(refusalOf(packet.reasonCode ?? 0x80, url, packet.properties?.serverReference));
    } else if (packet.cmd === "publish" && packet.qos > 0) {
      // It would have to be kept until a handshake is done; asked for was none.
      this.end({
        verdict: "later",
        error: this.#error(`a message came at QoS ${packet.qos}, and 0 was asked for`, "protocol"),
      });
    }
  }

  #message(topic: string, payload: Uint8Array): void {
    if (this.#failure) return;
    const canary = this.#canary;
    if (canary?.topic !== topic) return this.#options.onMessage(topic, payload);
    if (canary.nonce.every((byte, at) => payload[at] === byte)) this.#settleCanary(true);
  }

  /** What the client itself finds wrong. */
  #failed(error: Error): void {
    if (this.#failure) return;
    const code = "code" in error && typeof error.code === "number" && !this.#connack ? error.code : undefined;
    if (code !== undefined && code < 0x100 && code > 0) return this.end(refusalOf(code, this.#options.url));
    const version = !this.#connack && this.#meter.packets > 0;
    const cause = this.#lastError ?? error;
    this.end({
      // An answer that makes no sense in this version may make sense in the other one.
      verdict: version ? "version" : "later",
      error: this.#error(cause.message, "lost", cause),
    });
  }

  #closed(): void {
    // Old brokers close the connection without a word when they do not know the version.
    const silent = !this.#connack && this.#meter.packets === 0 && this.#lastError === undefined;
    const why = this.#lastError?.message ?? "it closed the connection";
    this.#failure ??= {
      verdict: silent ? "version" : "later",
      error: this.#error(why, "lost", this.#lastError),
    };
    this.#stopTimers();
    this.#client.end(true);
    this.#ended.resolve(this.#failure);
  }

  #settleCanary(back: boolean): void {
    this.#canary?.timer.cancel();
    this.#canary?.back.resolve(back);
    this.#canary = undefined;
  }

  #stopTimers(): void {
    this.#beat?.cancel();
    this.#question?.timer.cancel();
    this.#settleCanary(false);
  }

  #error(why: string, code: string, cause?: unknown): Error {
    return mqttError(this.#options.url, why, code, cause);
  }
}

interface Canary {
  readonly topic: string;
  readonly nonce: Uint8Array;
  readonly back: PromiseWithResolvers<boolean>;
  readonly timer: Timer;
  messageId: number;
}

function clientOptions(options: MqttSessionOptions): IClientOptions {
  const { version, clientId, username, password, will, keepalive, maxIncoming } = options;
  return {
    protocolId: "MQTT",
    protocolVersion: version,
    clientId,
    clean: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(will ? { will: { topic: will.topic, payload: asBuffer(will.payload), qos: 0, retain: false } } : {}),
    // The broker may miss two of our questions before it takes us for dead. The client's own are switched off.
    keepalive: Math.max(5, Math.ceil(keepalive * 3 / 1000)),
    timerVariant: { set: () => 0, clear: () => {} } as unknown as NonNullable<IClientOptions["timerVariant"]>,
    reconnectPeriod: 0,
    // Whoever opens the session has a deadline of his own.
    connectTimeout: 2 ** 31 - 1,
    queueQoSZero: false,
    outgoingStore: noStore(),
    incomingStore: noStore(),
    resubscribe: false,
    log: () => {},
    ...(version === 5 ? { properties: { maximumPacketSize: maxIncoming } } : {}),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
