/** What the tests share that bring failures about: the laboratory with a watcher in it, and what plain code sees. */

import { type NetworkState, type NetworkWatcher, watchNetwork } from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { retry } from "../../recover/retry.ts";
import type { DnsRecords } from "../../testing/dns_server.ts";
import { requires } from "../_require.ts";
import { ADDRESS, type Far, TwoHosts } from "./_two_hosts.ts";

/** How long anything may take to show, in milliseconds. */
const PATIENCE = 15_000;

/** Names that the laboratory's name server knows besides those of a test. */
const NAMES: Readonly<Record<string, DnsRecords>> = {
  "far.test": { A: [ADDRESS.server.v4], AAAA: [ADDRESS.server.v6] },
};

/** Where a failure is brought about. */
export interface Scene {
  readonly lab: TwoHosts;
  /** An echo server at both addresses of the server, and its name server. */
  readonly far: Far;
  /** What the client's kernel says of the network. */
  readonly network: NetworkWatcher;
}

/**
 * Registers a test that brings a failure about.
 *
 * @param name The name of the scenario, a colon, and what the test shows.
 * @param work The test.
 * @param records Names that it needs.
 */
export function provoke(
  name: string,
  work: (scene: Scene) => Promise<void>,
  records: Readonly<Record<string, DnsRecords>> = {},
): void {
  Deno.test({
    name,
    ...requires({ root: true, netns: true, tools: ["ip", "nft", "ss", "sysctl"] }),
    async fn() {
      await using lab = await TwoHosts.make();
      const far = await lab.serve({
        fault: { fault: { type: "echo" }, hostname: "::" },
        dns: { hostname: ADDRESS.server.v4, records: { ...NAMES, ...records } },
      });
      await using network = await watchNetwork();
      await reached(network, "both families", ({ families }) => families.length === 2);
      await work({ lab, far, network });
    },
  });
}

/** What a promise rejects with; an error of the test where it does not. */
export async function thrown(promise: PromiseLike<unknown>): Promise<Error & { readonly code?: string }> {
  const value = await promise.then((value) => ({ value }), (error) => error);
  if (value instanceof Error) return value;
  throw new Error(`Expected a failure, got ${Deno.inspect(value)}`);
}

/** What a call throws, and after how many milliseconds. */
export async function failing(
  call: () => PromiseLike<unknown>,
): Promise<{ readonly error: Error & { readonly code?: string }; readonly elapsed: number }> {
  const began = performance.now();
  const error = await thrown(call());
  return { error, elapsed: performance.now() - began };
}

/** Whether a promise has neither resolved nor rejected yet. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const first = await Promise.race([promise, Promise.resolve(pending)]).catch(() => null);
  return first === pending;
}

/** Sends a text, and gives what comes back; `null` for the end of the stream. */
export async function echo(conn: Deno.Conn, text: string): Promise<string | null> {
  await conn.write(new TextEncoder().encode(text));
  return await hear(conn);
}

/** Reads a text; `null` for the end of the stream. */
export async function hear(conn: Deno.Conn): Promise<string | null> {
  const buffer = new Uint8Array(1024);
  const count = await conn.read(buffer);
  return count === null ? null : new TextDecoder().decode(buffer.subarray(0, count));
}

/** Waits until the watcher shows something. */
export async function reached(
  network: NetworkWatcher,
  what: string,
  condition: (state: NetworkState) => boolean,
): Promise<void> {
  if (condition(network.state)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  using _events = network.subscribe(() => condition(network.state) && resolve());
  await within(() => `${what}: ${Deno.inspect(network.state, { depth: 9 })}`, promise);
}

/** Waits for something, and not for ever. */
export async function within<T>(what: string | (() => string), promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new Error(`Waited in vain for ${typeof what === "string" ? what : what()}`));
  }, PATIENCE);
  return await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** Waits until there is no network. */
export function offline(network: NetworkWatcher): Promise<void> {
  return reached(network, "the network to be away", ({ online }) => !online);
}

/** Waits until nothing changes any more by itself: the system has checked its link-local addresses. */
export function quiet(network: NetworkWatcher): Promise<void> {
  return reached(
    network,
    "the last address to be checked",
    ({ interfaces }) =>
      interfaces.every(({ addresses }) =>
        addresses.every(({ tentative, conflict }) => !tentative || conflict)
      ),
  );
}

/** How many connections the far server has seen. */
export async function connectionsOf(far: Far): Promise<number> {
  return (await far.tell({ do: "state" })).connections;
}

/**
 * Connects under `retry({ network })` while there is no network. No attempt may be made before it is back, and one has to
 * be enough then.
 *
 * @param scene The laboratory, which is offline.
 * @param meanwhile Something that takes a while, and changes nothing.
 * @param heal Brings the network back.
 */
export async function assertWaitsForNetwork(
  { far, network }: Scene,
  meanwhile: () => Promise<unknown>,
  heal: () => Promise<void>,
): Promise<void> {
  const before = await connectionsOf(far);
  const attempts: boolean[] = [];
  // One attempt is all it has, and nobody polls.
  const policy = retry({ network, operation: "connect", maxAttempts: 1, safetyPoll: 10 * PATIENCE });
  const suspended = Promise.withResolvers<string>();
  using _suspended = policy.on("suspended", ({ reason }) => suspended.resolve(reason));
  const connecting = policy.execute(({ signal }) => {
    attempts.push(network.state.online);
    return Deno.connect({ hostname: ADDRESS.server.v4, port: far.port, signal });
  });
  connecting.catch(() => {}); // it is awaited below
  assertEquals(await Promise.race([suspended.promise, connecting]), "offline");
  await meanwhile();
  assertEquals([attempts, network.state.online], [[], false], "no attempt while there is no network");
  await heal();
  using conn = await connecting;
  assertEquals(await echo(conn, "back"), "back");
  assertEquals(attempts, [true]);
  assertEquals(await connectionsOf(far), before + 1);
}

/** The state of the client's TCP sockets to a port, as `ss` tells them, in order. */
export async function socketsTo(lab: TwoHosts, port: number): Promise<readonly string[]> {
  const text = await lab.run("client", "ss", "-Htan", "dport", "=", `:${port}`);
  return text.split("\n").flatMap((line) => line === "" ? [] : [line.split(/\s+/)[0] ?? ""]).sort();
}

/** A counter of the client's kernel, for example `ListenOverflows`; see nstat(8). */
export async function counterOf(name: string): Promise<number> {
  const [names = "", values = ""] = (await Deno.readTextFile("/proc/thread-self/net/netstat")).split("\n");
  const at = names.split(" ").indexOf(name);
  assert(at > 0, `${name} is no counter of this kernel`);
  return Number(values.split(" ")[at]);
}
