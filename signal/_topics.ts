/** Where packets are published: hashes, which say nothing to whom does not know what was hashed. */

import { ascii, concat, sha256 } from "../internal/crypto.ts";
import { toBase32 } from "./_base32.ts";

/** What all topics begin with, for a broker's rules. */
export const TOPIC_PREFIX = "holdfast/1/";

/**
 * Where a peer is written to.
 *
 * @param key Its public key.
 */
export function inboxTopic(key: Uint8Array): string {
  return topic("inbox", key);
}

/**
 * Where a peer tells that it is there.
 *
 * @param key Its public key.
 */
export function presenceTopic(key: Uint8Array): string {
  return topic("presence", key);
}

/**
 * Where the members of a room meet.
 *
 * @param secret The stretched secret of the room.
 */
export function roomTopic(secret: Uint8Array): string {
  return topic("room", secret);
}

function topic(what: string, of: Uint8Array): string {
  return TOPIC_PREFIX +
    toBase32(sha256(concat(ascii(`holdfast signal 1 ${what} topic`), of)).subarray(0, 20));
}
