/** Hostile bytes for the STUN decoder: whatever they are, a response comes out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { formatIp, parseIp } from "../internal/ip.ts";
import {
  AttributeType,
  decodeBindingResponse,
  decodeMessage,
  encodeAddress,
  encodeBindingRequest,
  encodeMessage,
  MessageType,
  type StunAttribute,
  StunError,
} from "../watch/_stun.ts";
import { scale, seed } from "./_require.ts";

/** A small generator with a seed (mulberry32): the same numbers on every machine. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  one<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  chance(of: number): boolean {
    return this.below(of) === 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Attributes that may stand together, with values that mostly fit. */
function attributes(random: Random, id: Uint8Array, type: number): StunAttribute[] {
  const endpoint = { address: formatIp(random.bytes(random.one([4, 16]))), port: random.below(65_536) };
  const nobody = { address: random.one(["0.0.0.0", "224.0.0.1", "::", "ff02::1"]), port: random.below(2) };
  const error = Uint8Array.of(0, 0, random.one([3, 3, 4, 5, 6, 2, 7]), random.one([0, 0, 1, 20, 99, 100]));
  const plain = [AttributeType.mappedAddress, AttributeType.otherAddress, AttributeType.responseOrigin];
  const others = [...Object.values(AttributeType), 0x0004, 0x0008, 0x7fff, 0xc0de];
  const xor = { type: AttributeType.xorMappedAddress, value: encodeAddress(endpoint, id) };
  const pick = (): StunAttribute =>
    random.one<() => StunAttribute>([
      () => xor,
      () => ({ type: random.one(plain), value: encodeAddress(endpoint) }),
      () => ({ type: AttributeType.alternateServer, value: encodeAddress(endpoint) }),
      () => ({ type: AttributeType.software, value: random.bytes(random.below(200)) }),
      () => ({ ...xor, value: encodeAddress(nobody, id) }),
      () => ({ type: random.one(others), value: random.bytes(random.below(24)) }),
    ])();
  const more = Array.from({ length: random.below(4) }, pick);
  if (type === MessageType.error) return [{ type: AttributeType.errorCode, value: error }, ...more];
  return random.chance(2) ? [xor, ...more] : more;
}

/** A message that is right more often than not, or bytes that are nothing at all. */
function message(random: Random, id: Uint8Array): Uint8Array {
  if (random.chance(10)) return random.bytes(random.below(200));
  if (random.chance(20)) return encodeBindingRequest(id);
  const { success, error, request } = MessageType;
  const type = random.one([success, success, success, success, error, error, error, request, 0x0011]);
  const fingerprint = random.chance(3);
  return encodeMessage(type, random.chance(10) ? random.bytes(12) : id, attributes(random, id, type), {
    fingerprint,
  });
}

/** Turns bits, overwrites, cuts off and puts in, or does nothing. */
function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  let result = bytes;
  for (let left = random.one([0, 0, 1, 2, 3]); left > 0; left--) {
    const at = random.below(result.length + 1);
    result = random.one([
      () => result.map((byte, i) => i === at ? byte ^ (1 << random.below(8)) : byte),
      () => result.map((byte, i) => i === at ? random.one([0, 1, 4, 8, 20, 127, 128, 255]) : byte),
      () => result.subarray(0, at),
      () => Uint8Array.of(...result.subarray(0, at), ...random.bytes(4), ...result.subarray(at)),
    ])();
  }
  return result;
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}

Deno.test("decodeBindingResponse() makes a response or a StunError of any bytes", () => {
  const start = seed();
  const random = new Random(start);
  const id = random.bytes(12);
  const tally = new Map<string, number>();
  const count = scale(5_000, 100_000);
  for (let i = 0; i < count; i++) {
    const bytes = mutated(random, message(random, id));
    let outcome: string;
    try {
      const { mapped, software } = decodeBindingResponse(bytes, id);
      assertEquals(parseIp(mapped.address)?.length, mapped.family === 4 ? 4 : 16);
      assert(mapped.port > 0 && mapped.port < 65_536);
      assert(software === null || (software.length > 0 && !/\p{Cc}/u.test(software)));
      assertEquals(decodeMessage(bytes).type, MessageType.success);
      outcome = "response";
    } catch (error) {
      if (!(error instanceof StunError)) {
        throw new Error(`seed ${start}, input ${i}: ${hex(bytes)}`, { cause: error });
      }
      outcome = error.reason;
    }
    tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
  }
  // A fuzz that never gets past the door proves nothing: each outcome has to come up.
  const expected = [
    ...[
      "alternate-server",
      "error-response",
      "fingerprint",
      "malformed",
      "no-address",
      "not-stun",
      "response",
    ],
    ...["truncated", "unknown-attribute", "wrong-id", "wrong-type"],
  ];
  assertEquals([...tally.keys()].toSorted(), expected, `seed ${start}: ${JSON.stringify([...tally])}`);
});
