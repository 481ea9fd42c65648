/** `npm:ws`, loaded when it is used for the first time. */

import process from "node:process";
import type { WebSocket, WebSocketServer } from "ws";

/** What is used of it. */
export interface WsLibrary {
  /** A client's WebSocket. */
  readonly WebSocket: typeof WebSocket;
  /** What answers requests. */
  readonly WebSocketServer: typeof WebSocketServer;
}

/** The variables by which one tells the library not to look for faster parts in native code. */
const NO: PropertyDescriptorMap = {
  WS_NO_BUFFER_UTIL: { value: "1" },
  WS_NO_UTF_8_VALIDATE: { value: "1" },
};

let loading: Promise<WsLibrary> | undefined;

/**
 * Loads the library.
 *
 * While it is loaded it looks at two variables of the environment, which would need a permission, and would have it load
 * native code where somebody installed that. So for this time the two say no, whoever reads them; all others are as they are.
 */
export function wsLibrary(): Promise<WsLibrary> {
  return loading ??= load();
}

async function load(): Promise<WsLibrary> {
  const { env } = process;
  process.env = Object.create(env, NO);
  try {
    return await import("ws");
  } finally {
    process.env = env;
  }
}
