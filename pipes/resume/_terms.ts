/** What both ends of a session keep to: the smaller of what both wish. */

import { MAX_WINDOW, MIN_WINDOW, type Terms } from "./_handshake_frames.ts";

/**
 * Checks what an end wishes.
 *
 * @throws {RangeError} Where it cannot be said in the handshake.
 */
export function checkTerms(terms: Terms): void {
  const limits = { window: [MIN_WINDOW, MAX_WINDOW], expiry: [0, MAX_U32], keepalive: [0, MAX_U32] } as const;
  for (const name of ["window", "expiry", "keepalive"] as const) {
    const [least, most] = limits[name];
    const value = terms[name];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(
        `Cannot wish for a ${name} of ${value}: it must be an integer, ${least} to ${most}`,
      );
    }
  }
}

/** What both keep to: the smaller window and expiry, and the smaller keepalive that is not 0. */
export function grant(wishes: Terms, limits: Terms): Terms {
  return {
    window: Math.min(wishes.window, limits.window),
    expiry: Math.min(wishes.expiry, limits.expiry),
    keepalive: Math.min(wishes.keepalive || limits.keepalive, limits.keepalive || wishes.keepalive),
  };
}

/** Whether terms can be what a server made of some wishes. */
export function isGrantOf(wishes: Terms, terms: Terms): boolean {
  const { window, expiry, keepalive } = grant(wishes, terms);
  return window === terms.window && expiry === terms.expiry && keepalive === terms.keepalive;
}

const MAX_U32 = 2 ** 32 - 1;
