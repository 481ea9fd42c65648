/** The stream of bytes to a broker: TCP or TLS without delay, and WebSocket on top. */

import type { Duplex } from "node:stream";
import type { Clock } from "../internal/clock.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { dial, type DialTlsOptions } from "../recover/dial.ts";
import { connStream } from "./_conn_stream.ts";
import type { MqttAddress } from "./_mqtt_address.ts";
import { webSocketLibrary } from "./_mqtt_library.ts";

/** What {@linkcode openMqttStream} is told. */
export interface MqttStreamOptions {
  /** What is asked of the other end in TLS. */
  readonly tls: DialTlsOptions;
  /** The most bytes of one message of a WebSocket. */
  readonly maxPayload: number;
  /** The network. */
  readonly network: NetworkView | undefined;
  /** Source of time. */
  readonly clock: Clock;
  /** Calls it off. */
  readonly signal: AbortSignal;
}

/** A connection that is ready for MQTT. */
export interface MqttStream {
  /** The bytes; destroying it ends the connection at once. */
  readonly stream: Duplex;
  /** The other end's IP address. */
  readonly address: string;
  /** Our own. */
  readonly localAddress: string;
}

/**
 * Connects. Addresses of a name are raced, small writes go out at once.
 *
 * @param address Where to.
 * @param options How, and until when.
 * @returns The connection.
 * @throws What went wrong; the signal's reason where it was called off.
 */
export async function openMqttStream(address: MqttAddress, options: MqttStreamOptions): Promise<MqttStream> {
  const { scheme, hostname, port, path } = address;
  const { signal, clock, network, tls } = options;
  const secure = scheme === "mqtts" || scheme === "wss";
  const { conn, address: remote } = await dial({ hostname, port }, {
    transport: secure ? "tls" : "tcp",
    // What comes of HTTP/2 would not understand the request.
    ...(secure ? { tls: scheme === "wss" ? { ...tls, alpnProtocols: ["http/1.1"] } : tls } : {}),
    signal,
    clock,
    ...(network ? { network } : {}),
  });
  const local = conn.localAddr;
  const localAddress = local.transport === "tcp" ? local.hostname : "";
  const below = connStream(conn);
  const webSocket = scheme === "ws" || scheme === "wss";
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const stream = webSocket
    ? await upgraded(below, { host: `${host}:${port}`, path, maxPayload: options.maxPayload, signal })
    : below;
  return { stream, address: remote, localAddress };
}

interface UpgradeOptions {
  readonly host: string;
  readonly path: string;
  readonly maxPayload: number;
  readonly signal: AbortSignal;
}

/** Asks for a WebSocket that carries MQTT (MQTT 5.0 section 6). */
async function upgraded(below: Duplex, { host, path, maxPayload, signal }: UpgradeOptions): Promise<Duplex> {
  const abort = (): void => void below.destroy();
  try {
    const { WebSocket, createWebSocketStream } = await webSocketLibrary();
    signal.throwIfAborted();
    signal.addEventListener("abort", abort, { once: true });
    // TLS, where there is any, is below.
    const socket = new WebSocket(`ws://localhost${path}`, ["mqtt"], {
      createConnection: () => below,
      headers: { host },
      perMessageDeflate: false,
      maxPayload,
    });
    const opened = Promise.withResolvers<void>();
    const failed = (error: Error): void => opened.reject(error);
    socket.once("open", opened.resolve);
    socket.on("error", failed);
    below.once("close", () => failed(new Error("Cannot open a WebSocket: the connection was closed")));
    const stream = createWebSocketStream(socket);
    // Told to whoever waits for the opening; what comes later the stream's owner hears.
    stream.on("error", () => {});
    await opened.promise;
    socket.off("error", failed);
    return stream;
  } catch (error) {
    below.destroy();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
