/** `npm:mqtt` and `npm:ws`, loaded when a broker is opened for the first time. */

import process from "node:process";
import type { MqttClient } from "mqtt";
import type { createWebSocketStream, WebSocket } from "ws";

/** What is used of `npm:mqtt`. */
export interface MqttLibrary {
  /** A client, over a stream of the caller's. */
  readonly MqttClient: typeof MqttClient;
}

/** What is used of `npm:ws`. */
export interface WebSocketLibrary {
  /** A client's WebSocket. */
  readonly WebSocket: typeof WebSocket;
  /** Makes a stream of one. */
  readonly createWebSocketStream: typeof createWebSocketStream;
}

/** Loads the client. */
export function mqttLibrary(): Promise<MqttLibrary> {
  return mqtt ??= quietly(async () => {
    const { MqttClient } = await import("mqtt");
    return { MqttClient };
  });
}

/** Loads what carries `ws:` and `wss:`. */
export function webSocketLibrary(): Promise<WebSocketLibrary> {
  return ws ??= quietly(async () => {
    const { WebSocket, createWebSocketStream } = await import("ws");
    return { WebSocket, createWebSocketStream };
  });
}

let mqtt: Promise<MqttLibrary> | undefined;
let ws: Promise<WebSocketLibrary> | undefined;

/** What the libraries ask the environment for while they are loaded: debugging, other streams, faster parts in native code. */
const HIDDEN: PropertyDescriptorMap = {
  DEBUG: { value: undefined },
  READABLE_STREAM: { value: undefined },
  WS_NO_BUFFER_UTIL: { value: "1" },
  WS_NO_UTF_8_VALIDATE: { value: "1" },
};

/**
 * Loads something that looks at the environment meanwhile, which would need a permission.
 *
 * So for this time the names that it asks for are set to what it is to find, and listing the names gives none; all other
 * variables are as they are, whoever reads them. Loads are one after the other, as each puts back what it found.
 */
function quietly<T>(load: () => Promise<T>): Promise<T> {
  const loaded = before.then(async () => {
    const { env } = process;
    process.env = Object.create(env, HIDDEN);
    try {
      return await load();
    } finally {
      process.env = env;
    }
  });
  before = loaded.catch(() => {});
  return loaded;
}

let before: Promise<unknown> = Promise.resolve();
