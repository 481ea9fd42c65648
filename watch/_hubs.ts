/** The hubs of a process: watchers that want the same share one. */

import { Hub } from "./_hub.ts";
import type { HubOptions } from "./_hub_types.ts";

const hubs = new Map<string, Promise<Hub>>();

/** Takes a hold on the hub for some options, which is opened if there is none; each hold must be released. */
export async function acquireHub(options: HubOptions): Promise<Hub> {
  if (options.source || options.clock) {
    const own = await openHub(options, () => {});
    own.retain();
    return own;
  }
  const key = keyOf(options);
  const pending = hubs.get(key) ?? openHub(options, () => hubs.delete(key));
  hubs.set(key, pending);
  try {
    const hub = await pending;
    // Closed by its last holder while this one waited.
    return hub.retain() ? hub : await acquireHub(options);
  } catch (error) {
    if (hubs.get(key) === pending) hubs.delete(key);
    throw error;
  }
}

/** The hub that is open for some options, if there is one. */
export function openedHub(options: HubOptions): Promise<Hub> | undefined {
  return hubs.get(keyOf(options));
}

function keyOf({ backend, pollInterval }: HubOptions): string {
  return `${backend} ${pollInterval}`;
}

async function openHub(options: HubOptions, onClose: () => void): Promise<Hub> {
  const hub = new Hub(options, onClose);
  await hub.open();
  return hub;
}
