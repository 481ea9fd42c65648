/** The second step of the readiness gate: the gateway answers. */

import { wait } from "../internal/clock.ts";
import { PermissionError } from "../internal/errors.ts";
import type {
  NetworkView,
  NetworkViewNeighbour,
  NetworkViewRoute,
  NetworkViewState,
} from "../internal/network_view.ts";
import { limited } from "./_limited.ts";
import { ok, skipped, type StepContext, type StepResult } from "./_ready_step.ts";

/** The neighbour entry is read again after this many milliseconds, then after twice as many, up to the second figure. */
const SCHEDULE = { first: 10, last: 160 };
/**
 * The system asks three times, a second apart, then gives up on what waited for the answer (neigh(7): `ucast_solicit`,
 * `retrans_time_ms`). Another datagram makes it begin again.
 */
const CALL_AGAIN = 1000;
/** A gateway that neither answers nor refuses a knock within this many milliseconds drops it, which proves nothing. */
const KNOCK = 1000;

/** A gateway of the default route of a family. */
interface Gateway {
  readonly family: 4 | 6;
  /** Its address. */
  readonly address: string;
  /** Its address with the zone where it needs one, in the order they are worth trying. */
  readonly zoned: readonly string[];
}

/** Waits until the hardware address of a gateway is known; one of them is enough, as one family is. */
export async function gatewayStep(context: StepContext): Promise<StepResult> {
  const { network, clock, signal, family } = context;
  using stop = limited(Infinity, signal, clock);
  const calls: Calls = { at: new Map() };
  for (let round = 0;; round++) {
    if (network.state.families.length === 0) await network.online({ signal, ...given(family) });
    const gateways = gatewaysOf(network.state, family);
    if (gateways === "none") return skipped("no gateway is in sight");
    const [resolved, open] = await look(network, gateways);
    signal.throwIfAborted();
    if (resolved) return ok(`${resolved.address} is there`);
    if (calls.answered !== undefined) return ok(`${calls.answered} answers`);
    if (calls.forbidden) return skipped(calls.forbidden.message);
    context.waiting(`the gateway ${gateways.map(({ address }) => address).join(" or ")} does not answer`);
    if (open.length > 0) await call({ ...context, signal: stop.signal }, open, calls);
    else {
      const told = await knockAtAll(context, gateways);
      if (told) return told;
    }
    await wait(Math.min(SCHEDULE.first * 2 ** Math.min(round, 10), SCHEDULE.last), { signal, clock });
  }
}

/** What has come of calling gateways. */
interface Calls {
  /** When each was last called, on the monotonic clock. */
  readonly at: Map<string, number>;
  /** One that has answered. */
  answered?: string;
  /** What forbids to call. */
  forbidden?: PermissionError;
}

function given(family: 4 | 6 | undefined): { readonly family?: 4 | 6 } {
  return family === undefined ? {} : { family };
}

/** The gateways in use; none where some route needs none, and where routes are out of sight. */
function gatewaysOf(state: NetworkViewState, family: 4 | 6 | undefined): readonly Gateway[] | "none" {
  const families = state.families.filter((one) => family === undefined || one === family);
  const gateways: Gateway[] = [];
  for (const family of families) {
    const route = state.defaultRoute[`v${family}`];
    if (!route || route.gateway === null) return "none";
    gateways.push({ family, address: route.gateway, zoned: zoned(route.gateway, route) });
  }
  return gateways.length === 0 ? "none" : gateways;
}

/** A link-local address means nothing without its interface, which Windows knows by number. */
function zoned(address: string, route: NetworkViewRoute & { readonly index?: number }): readonly string[] {
  if (!/^fe[89ab]/i.test(address)) return [address];
  return [route.interface, ...(route.index === undefined ? [] : [`${route.index}`])].map((zone) =>
    `${address}%${zone}`
  );
}

/** The first gateway that is resolved, and those that may yet be. */
async function look(
  network: NetworkView,
  gateways: readonly Gateway[],
): Promise<readonly [Gateway | undefined, readonly Gateway[]]> {
  const told = await Promise.all(gateways.map(({ family }) => tell(network, family)));
  const of = (what: NetworkViewNeighbour): Gateway[] => gateways.filter((_, i) => told[i] === what);
  return [of("resolved")[0], of("unresolved")];
}

async function tell(network: NetworkView, family: 4 | 6): Promise<NetworkViewNeighbour> {
  try {
    return await network.neighbour?.(family) ?? "unknown";
  } catch {
    // A view that cannot read its table says nothing; that the network is down shows elsewhere.
    return "unknown";
  }
}

/** Makes the system look for each gateway, unless that was done lately: by a datagram, or else by a knock. */
async function call(
  { tools, clock, signal }: StepContext,
  gateways: readonly Gateway[],
  calls: Calls,
): Promise<void> {
  const now = clock.monotonic();
  for (const address of gateways.flatMap(({ zoned }) => zoned)) {
    if (now - (calls.at.get(address) ?? -Infinity) < CALL_AGAIN) continue;
    calls.at.set(address, now);
    try {
      await tools.provoke(address);
    } catch (error) {
      // What the system refuses now it may do the next time.
      if (!(error instanceof PermissionError)) continue;
      tools.knock(address, signal).then((told) => {
        if (told === "answered") calls.answered = address;
      }, (error) => {
        if (error instanceof PermissionError) calls.forbidden = error;
      });
    }
  }
}

/** Knocks where no table can tell; `undefined` where there was no way to any of them. */
async function knockAtAll(
  { tools, clock, signal }: StepContext,
  gateways: readonly Gateway[],
): Promise<StepResult | undefined> {
  using time = limited(KNOCK, signal, clock);
  const knocks = gateways.flatMap(({ zoned }) =>
    zoned.map(async (address) => {
      if (await tools.knock(address, time.signal) === "answered") return address;
      throw new Error(`Cannot reach ${address}: the system finds no way`);
    })
  );
  try {
    return ok(`${await Promise.any(knocks)} answers`);
  } catch (error) {
    signal.throwIfAborted();
    if (time.expired) return skipped("the gateway says nothing, which proves nothing");
    const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
    const forbidden = errors.find((one) => one instanceof PermissionError);
    return forbidden && skipped(forbidden.message);
  }
}
