/** `externalAddress()` against a STUN server that somebody else has written. */

import { assert, assertEquals } from "@std/assert";
import { startStunServer } from "../../testing/stun_server.ts";
import { type ExternalAddress, externalAddress } from "../../watch/external.ts";
import { requires } from "../_require.ts";

/** A running coturn. */
interface Coturn extends AsyncDisposable {
  readonly port: number;
}

/** In a namespace of one's own no other test can take the port, nor the next one, which coturn wants for a second address. */
const PORT = 3478;

async function startCoturn(addresses: readonly string[], more: readonly string[] = []): Promise<Coturn> {
  const port = PORT;
  const folder = await Deno.makeTempDir({ prefix: "holdfast-coturn-" });
  const child = new Deno.Command("turnserver", {
    args: [
      ...["-n", "--stun-only", "--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--simple-log"],
      ...["--pidfile", `${folder}/pid`, "--userdb", `${folder}/db`, "-p", String(port)],
      ...addresses.flatMap((address) => ["-L", address]),
      ...more,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const coturn: Coturn = {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
  try {
    for (const address of addresses) await ready(address, port, child.status);
  } catch (error) {
    await coturn[Symbol.asyncDispose]();
    throw error;
  }
  return coturn;
}

/** It is ready when it answers; there is no other sign. */
async function ready(address: string, port: number, status: Promise<unknown>): Promise<void> {
  let ended = false;
  status.then(() => ended = true);
  const servers = [address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`];
  for (let attempt = 0; attempt < 40; attempt++) {
    const { v4, v6 } = await externalAddress({ servers, timeout: 500 });
    if (v4 ?? v6) return;
    if (ended) break;
  }
  throw new Error(`Cannot start coturn on ${servers}: it ${ended ? "has ended" : "does not answer"}`);
}

function summary({ v4 }: ExternalAddress): unknown {
  return v4 && [v4.address, v4.agreed, v4.answered, v4.agreement, v4.mapping];
}

const needs = requires({ netns: true, tools: ["turnserver"] });

Deno.test({
  name: "externalAddress() understands coturn over both families",
  ...needs,
  fn: async () => {
    await using coturn = await startCoturn(["127.0.0.1", "::1"]);
    const servers = [`127.0.0.1:${coturn.port}`, `[::1]:${coturn.port}`];
    const result = await externalAddress({ servers });
    assertEquals(summary(result), ["127.0.0.1", 1, 1, "single", "unknown"]);
    assertEquals([result.v6?.address, result.v6?.port], ["::1", result.v6?.local.port]);
    assertEquals(result.v4?.port, result.v4?.local.port);
    for (const outcome of result.servers) {
      assert(
        outcome.outcome === "answered" && outcome.software?.startsWith("Coturn"),
        JSON.stringify(outcome),
      );
    }
  },
});

Deno.test({
  name: "externalAddress() learns the mapping from two addresses of coturn, and by the second one it offers",
  ...needs,
  fn: async () => {
    await using coturn = await startCoturn(["127.0.0.1", "127.0.0.2"]);
    const one = `127.0.0.1:${coturn.port}`;
    const two = `127.0.0.2:${coturn.port}`;
    const both = await externalAddress({ servers: [one, two] });
    assertEquals(summary(both), ["127.0.0.1", 2, 2, "confirmed", "endpoint-independent"]);
    const offered = await externalAddress({ servers: [one] });
    assertEquals(summary(offered), ["127.0.0.1", 1, 1, "single", "endpoint-independent"]);
    await using liar = await startStunServer({ hostname: "127.0.0.3", mode: "liar" });
    const outvoted = await externalAddress({ servers: [liar.url, one, two] });
    assertEquals(summary(outvoted), ["127.0.0.1", 2, 3, "confirmed", "endpoint-independent"]);
  },
});

Deno.test({
  name: "externalAddress() understands coturn when it says no more than RFC 8489 asks for",
  ...needs,
  fn: async () => {
    const more = ["--no-rfc5780", "--no-stun-backward-compatibility"];
    await using coturn = await startCoturn(["127.0.0.1", "127.0.0.2"], more);
    const result = await externalAddress({ servers: [`127.0.0.1:${coturn.port}`] });
    assertEquals(summary(result), ["127.0.0.1", 1, 1, "single", "unknown"]);
  },
});
