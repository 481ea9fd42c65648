/** What the ways to speak TLS with somebody give when they fail, each known by name. */

import { assertEquals } from "@std/assert";
import { classify } from "../recover/classify.ts";
import type { FailureOperation } from "../recover/failure.ts";

/** What failed, and how. */
export interface FailedWay {
  /** Which of the runtime's calls it was. */
  readonly call: "connectTls" | "fetch" | "WebSocket";
  /** What it says. */
  readonly text: string;
  /** The error's class. */
  readonly name: string;
  /** What `classify()` makes of it: scenario, kind, retry and sent. */
  readonly known: string;
}

/** Tries all of them, on connections of their own; every one has to fail. */
export async function failedWays(port: number, caCerts: readonly string[]): Promise<readonly FailedWay[]> {
  const options = { caCerts: [...caCerts] };
  using client = Deno.createHttpClient(options);
  const ways: readonly [FailedWay["call"], FailureOperation, () => Promise<unknown>][] = [
    ["connectTls", "handshake", async () => {
      using conn = await Deno.connectTls({ hostname: "localhost", port, ...options });
      await conn.handshake();
    }],
    ["fetch", "request", async () => await (await fetch(`https://localhost:${port}/`, { client })).text()],
    ["WebSocket", "request", () => opened(new WebSocket(`wss://localhost:${port}/`, { client }))],
  ];
  return await Promise.all(ways.map(async ([call, operation, run]) => {
    const error = await run().then(() => null, (error) => error);
    assertEquals(error === null, false, `${call} has not failed`);
    const { scenario, kind, retry, sent } = classify(error, { operation });
    const text = error.cause?.message ?? error.message;
    return { call, text, name: error.name ?? error.type, known: `${scenario} ${kind} ${retry} ${sent}` };
  }));
}

/** Resolves when a WebSocket is open, rejects with its event when it fails. */
export function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = reject;
  });
}
