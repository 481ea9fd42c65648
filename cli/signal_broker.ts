/** `holdfast signal broker`. */

import { isLoopback, parseIp } from "../internal/ip.ts";
import { startBroker } from "../signal/embedded.ts";
import type { ListeningLine } from "./commands/pipe.ts";
import { parseEndpoint } from "./endpoint.ts";
import { EXIT } from "./failure.ts";
import type { Context } from "./spec.ts";

/** The address where nothing is said. */
const ADDRESS = "127.0.0.1:1883";

/** Runs a broker until it is told to end. */
export async function runBroker({ values, json, emit, note, signal }: Context): Promise<number> {
  const { hostname, port } = parseEndpoint(values.text("listen") ?? ADDRESS, 1883);
  const ip = parseIp(hostname);
  await using broker = await startBroker({ hostname, port });
  if (json) await emit<ListeningLine>({ type: "listening", urls: [broker.url] });
  else await note(`Listening on ${broker.url}`);
  if (hostname !== "localhost" && !(ip && isLoopback(ip))) {
    await note(
      "Everybody who can reach this address can use the broker; messages of peers are sealed, and no others are",
    );
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  return EXIT.fine;
}
