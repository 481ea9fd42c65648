/** Where the tests of the suite happen: an interface with a cable in it, and somebody who watches. */

import type { BackendName, NetworkState, WatchOptions } from "@holdfast/net/watch";
import { assertEquals } from "@std/assert";
import { requires } from "../_require.ts";
import { assertAgreement } from "./_agreement.ts";
import { addressOf, interfaceOf } from "./_describe.ts";
import { type Batch, ip, Network, Observer } from "./_network.ts";

/** What a test works with: an interface `v0`, cabled to `far0` in the namespace `far`, and who watches. */
export interface Lab {
  readonly network: Network;
  readonly observer: Observer;
  /** Runs commands of `ip` at the far end. */
  readonly far: (...commands: readonly string[]) => Promise<void>;
  /** {@linkcode Observer.step}, and a comparison of the result with the kernel's own view. */
  step(
    what: string,
    act: () => Promise<void>,
    reached: (state: NetworkState) => boolean,
    net: readonly string[],
  ): Promise<Batch>;
  /** {@linkcode Observer.quietly}, and the same comparison. */
  quietly(what: string, act: () => Promise<void>): Promise<void>;
}

/** Runs a function in a lab whose interface is plugged in, and switched off. */
async function inLab(options: WatchOptions, work: (lab: Lab) => Promise<void>): Promise<void> {
  await using network = await Network.make();
  await using observer = await Observer.open(options);
  const far = await network.plug("v0", "far0");
  await work({
    network,
    observer,
    far,
    async step(what, act, reached, net) {
      const batch = await observer.step(what, act, reached);
      assertEquals(batch.net, net, what);
      await assertAgreement(observer);
      return batch;
    },
    async quietly(what, act) {
      await observer.quietly(what, act);
      await assertAgreement(observer);
    },
  });
}

export const isOnline = (family: 4 | 6) => ({ families }: NetworkState): boolean => families.includes(family);
export const isOffline = (family: 4 | 6) => ({ families }: NetworkState): boolean =>
  !families.includes(family);
export const gatewayIs =
  (gateway: string | null, family: 4 | 6 = 4) => ({ defaultRoute }: NetworkState): boolean =>
    ((family === 4 ? defaultRoute.v4 : defaultRoute.v6)?.gateway ?? null) === gateway;
export const goesBy = (name: string, family: 4 | 6 = 4) => ({ defaultRoute }: NetworkState): boolean =>
  (family === 4 ? defaultRoute.v4 : defaultRoute.v6)?.interface === name;
export const has = (name: string, address: string) => (state: NetworkState): boolean =>
  addressOf(state, name, address) !== undefined;

/** Gives `v0` a path to the public network. */
export async function path4({ step }: Lab): Promise<void> {
  await step(
    "an IPv4 path",
    () => ip("link set v0 up", "address add 10.0.0.2/24 dev v0", "route add default via 10.0.0.1"),
    isOnline(4),
    [
      "interfaceadd v0",
      "addressadd v0 10.0.0.2/24",
      "gatewaychange 4 none -> 10.0.0.1@v0",
      "defaultinterfacechange 4 none -> v0",
      "online 4",
    ],
  );
}

/** Adds a second interface, `w0`, with an address and no default route. */
export async function second({ network, step }: Lab): Promise<void> {
  await network.plug("w0", "far1");
  await step(
    "a second interface",
    () => ip("link set w0 up", "address add 10.0.1.2/24 dev w0"),
    (state) => interfaceOf(state, "w0")?.running === true && has("w0", "10.0.1.2")(state),
    ["interfaceadd w0", "addressadd w0 10.0.1.2/24"],
  );
}

export function majorOf({ changes }: Batch): { major: string; reasons: string } {
  const rank = { none: 0, advised: 1, required: 2 };
  const [worst] = changes.toSorted((a, b) => rank[b.major] - rank[a.major]);
  return { major: worst?.major ?? "none", reasons: worst?.reasons.join("; ") ?? "" };
}

/** Registers a test. */
export type Register = (name: string, work: (lab: Lab) => Promise<void>, options?: WatchOptions) => void;

/** Registers tests that happen in a lab, for one backend. */
export function registerFor(backend: BackendName): Register {
  return (name, work, options = {}) =>
    Deno.test({
      name: `${backend}: ${name}`,
      ...requires({ netns: true, tools: ["ip"] }),
      // Half the usual quiet time, as there are some hundred and fifty changes to wait for.
      fn: () => inLab({ backend, pollInterval: 100, quiet: 75, ...options }, work),
    });
}
