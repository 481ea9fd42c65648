/** What a chaos link does to what passes through it. */

/** What happens in one direction of a TCP chaos link. Nothing of it by default: the bytes pass as they come. */
export interface ChaosLaneFaults {
  /**
   * How much later everything arrives, in milliseconds. The order stays.
   *
   * @default {0}
   */
  readonly latency?: number;
  /**
   * Up to how much later still, by chance, in milliseconds.
   *
   * @default {0}
   */
  readonly jitter?: number;
  /**
   * How many bytes a second pass, for each connection.
   *
   * @default {Infinity}
   */
  readonly bandwidth?: number;
  /**
   * The largest piece that is written at once, in bytes; each has 1 to this many, by chance. The system of whoever reads may
   * join them again: `sliceDelay` keeps them apart.
   *
   * @default {Infinity}
   */
  readonly slice?: number;
  /**
   * Milliseconds between two pieces.
   *
   * @default {0}
   */
  readonly sliceDelay?: number;
  /**
   * A black hole: nothing passes any more, neither bytes nor an end nor a reset, and nobody is told. What is sent meanwhile
   * waits, as TCP would send it again, and passes when the hole has closed. In one direction only it makes a connection
   * half-open.
   *
   * @default {false}
   */
  readonly silent?: boolean;
  /**
   * After how many bytes of a connection, counted from its beginning, both its ends get a reset. With 0 at once, which is as
   * near as a link comes to a server that is not there.
   *
   * @default {Infinity}
   */
  readonly resetAfter?: number;
  /**
   * After how many bytes of a connection it ends in both directions, as if that were all.
   *
   * @default {Infinity}
   */
  readonly endAfter?: number;
  /**
   * How much later the end of this direction arrives, in milliseconds.
   *
   * @default {0}
   */
  readonly closeDelay?: number;
}

/** What happens on a TCP chaos link: the same in both directions, unless `up` or `down` say otherwise. */
export interface ChaosFaults extends ChaosLaneFaults {
  /** What is different from the client to the target. */
  readonly up?: ChaosLaneFaults;
  /** What is different from the target to the client. */
  readonly down?: ChaosLaneFaults;
}

/** What happens in one direction of a UDP chaos link. Nothing of it by default. Probabilities are from 0 to 1. */
export interface UdpChaosLaneFaults {
  /**
   * How much later each datagram arrives, in milliseconds.
   *
   * @default {0}
   */
  readonly latency?: number;
  /**
   * Up to how much later still, by chance, in milliseconds; this alone lets datagrams overtake each other.
   *
   * @default {0}
   */
  readonly jitter?: number;
  /**
   * How likely a datagram is lost.
   *
   * @default {0}
   */
  readonly loss?: number;
  /**
   * How likely a datagram comes twice.
   *
   * @default {0}
   */
  readonly duplicate?: number;
  /**
   * How likely a datagram is overtaken by the next one; if there is none within `reorderWait`, it goes on alone.
   *
   * @default {0}
   */
  readonly reorder?: number;
  /**
   * How long a datagram waits to be overtaken, in milliseconds.
   *
   * @default {50}
   */
  readonly reorderWait?: number;
  /**
   * A black hole: all datagrams are lost.
   *
   * @default {false}
   */
  readonly silent?: boolean;
}

/** What happens on a UDP chaos link: the same in both directions, unless `up` or `down` say otherwise. */
export interface UdpChaosFaults extends UdpChaosLaneFaults {
  /** What is different from the client to the target. */
  readonly up?: UdpChaosLaneFaults;
  /** What is different from the target to the client. */
  readonly down?: UdpChaosLaneFaults;
}

/**
 * Checks faults.
 *
 * @param faults What somebody gave.
 * @returns Them, by direction.
 * @throws {RangeError} When a number makes no sense.
 */
export function byDirection<T extends ChaosLaneFaults | UdpChaosLaneFaults>(
  faults: T & { readonly up?: T; readonly down?: T },
): { readonly up: T; readonly down: T } {
  const { up, down, ...both } = faults;
  const each = { up: { ...both, ...up } as T, down: { ...both, ...down } as T };
  for (const [name, value] of [...Object.entries(each.up), ...Object.entries(each.down)]) {
    const [least, most] = LIMITS[name] ?? [0, Infinity];
    if (typeof value === "boolean" || value === undefined || (value >= least && value <= most)) continue;
    const range = most === Infinity ? `${least} or more` : `from ${least} to ${most}`;
    throw new RangeError(`Cannot set the faults of a chaos link: ${name} must be ${range}, got ${value}`);
  }
  return each;
}

const LIMITS: Readonly<Record<string, readonly [number, number]>> = {
  bandwidth: [1, Infinity],
  slice: [1, Infinity],
  loss: [0, 1],
  duplicate: [0, 1],
  reorder: [0, 1],
};
