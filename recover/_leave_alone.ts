/** How long somebody wants to be left alone, and what that means elsewhere. */

import type { Failure } from "./failure.ts";

/** What another end that asks for rest gets at most, in milliseconds: nobody may close us out for good. */
export const LONGEST_REQUEST = 300_000;

/**
 * Whether the time that a failure asks for is to be waited out whatever the network does. What this machine imposes on
 * itself, such as an open breaker, need not hold in another network.
 */
export function isRequest({ retryAfter, where }: Pick<Failure, "retryAfter" | "where">): boolean {
  return retryAfter !== null && where !== "local";
}
