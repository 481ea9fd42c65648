/** `npm:mqtt` and `npm:ws`, loaded when a broker is opened for the first time. */

import type { MqttClient } from "mqtt";
import type { createWebSocketStream, WebSocket } from "ws";
import { quietly } from "./_quietly.ts";

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
