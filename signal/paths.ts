/** Which brokers a packet for somebody takes: those that have shown to carry, by what acknowledgements say. Pure. */

/** What is known of one broker as a path to one peer. */
export interface PathScore {
  /** From 0 (nothing arrives) to 1; 0.5 where nothing is known. */
  readonly score: number;
  /** How many packets sent by it were seen by the peer. */
  readonly delivered: number;
  /** How many were acknowledged without having been seen there. */
  readonly missed: number;
}

/** How much one more observation counts. */
const WEIGHT = 0.1;

/** Below this score a path is bad: it is used only when the others do not do. */
const BAD = 0.3;

/** Above this a path has just been seen working. */
const UNKNOWN = 0.5;

/** The paths to one peer, by the hash of the broker's address. */
export class Paths {
  readonly #scores = new Map<number, { score: number; delivered: number; missed: number }>();
  readonly #peer: string;
  /** The brokers at which the peer listens, and which of them it was connected to when it last said so. */
  #theirs: ReadonlyMap<number, boolean> = new Map();

  /**
   * Makes paths of which nothing is known.
   *
   * @param peer The peer's id, by which brokers are ranked until more is known.
   */
  constructor(peer: string) {
    this.#peer = peer;
  }

  /**
   * Notes where the peer listens.
   *
   * @param brokers The hashes of its brokers.
   * @param up Bit i: it is connected to broker i.
   */
  learn(brokers: readonly number[], up: number): void {
    this.#theirs = new Map(brokers.map((hash, i) => [hash, (up >> i & 1) === 1]));
  }

  /** Whether the peer listens there; `undefined` where it has not said yet. */
  listens(hash: number): boolean | undefined {
    return this.#theirs.size === 0 ? undefined : this.#theirs.has(hash);
  }

  /**
   * Notes that something sent by a broker has arrived, by this broker or by others.
   *
   * @param hash The broker.
   * @param seen Whether it was seen there.
   */
  observe(hash: number, seen: boolean): void {
    const entry = this.#scores.get(hash) ?? { score: UNKNOWN, delivered: 0, missed: 0 };
    entry.score += ((seen ? 1 : 0) - entry.score) * WEIGHT;
    if (seen) entry.delivered++;
    else entry.missed++;
    this.#scores.set(hash, entry);
  }

  /** What is known of a broker. */
  of(hash: number): PathScore {
    return { score: UNKNOWN, delivered: 0, missed: 0, ...this.#scores.get(hash) };
  }

  /** Whether so little arrives by a broker that others come first. */
  isBad(hash: number): boolean {
    return this.of(hash).score < BAD;
  }

  /**
   * Puts brokers in the order in which to use them: where the peer is connected, then where it listens, then what is not bad, then
   * by rank. The rank is a hash over peer and broker, so that everybody who writes to a peer begins with the same ones.
   *
   * @param hashes The brokers whose links are up.
   */
  order(hashes: readonly number[]): number[] {
    const weight = (hash: number): number => {
      const there = this.#theirs.get(hash);
      const known = this.#theirs.size === 0 || there ? 0 : there === false ? 4 : 8;
      return known + (this.isBad(hash) ? 6 : 0);
    };
    const keyed = hashes.map((hash) => ({ hash, weight: weight(hash), rank: rankOf(this.#peer, hash) }));
    keyed.sort((a, b) => a.weight - b.weight || a.rank - b.rank);
    return keyed.map(({ hash }) => hash);
  }
}

/** How brokers are chosen for one packet. */
export interface ChooseOptions {
  /** The brokers whose links are up, best first. */
  readonly ordered: readonly number[];
  /** Those by which the message has been sent already. */
  readonly tried: ReadonlySet<number>;
  /** How often it was sent already. */
  readonly attempts: number;
  /** How many copies of it go out at once. */
  readonly copies: number;
  /** One copy first, the others only where it is not acknowledged in the usual time. */
  readonly hedged: boolean;
  /** Tells two names of one operator apart from two operators. */
  readonly operator: (hash: number) => string;
}

/**
 * Chooses where a packet goes: the best ones first, at distinct operators as far as there are, and with each retry one more that
 * has not been tried.
 *
 * @param options What is there, and what was tried.
 * @returns The brokers.
 */
export function choosePaths(options: ChooseOptions): number[] {
  const { ordered, tried, attempts, copies, hedged, operator } = options;
  const wanted = hedged && attempts === 0 ? 1 : copies;
  const chosen: number[] = [];
  const operators = new Set<string>();
  for (const hash of ordered) {
    if (chosen.length >= wanted) break;
    if (operators.has(operator(hash))) continue;
    operators.add(operator(hash));
    chosen.push(hash);
  }
  for (const hash of ordered) {
    if (chosen.length >= wanted) break;
    if (!chosen.includes(hash)) chosen.push(hash);
  }
  if (attempts === 0) return chosen;
  const fresh = ordered.find((hash) => !tried.has(hash) && !chosen.includes(hash));
  if (fresh !== undefined) chosen.push(fresh);
  return chosen;
}

/**
 * The hash by which acknowledgements name a broker: 32 bits of FNV-1a over its address.
 *
 * @param url The address.
 */
export function hashBroker(url: string): number {
  return fnv(url);
}

/** A rank that all who write to a peer agree on. */
export function rankOf(peer: string, hash: number): number {
  return fnv(`${peer} ${hash}`);
}

/**
 * Who runs a broker, as far as it shows: its IP address where one is known, else its host. Two ports of one machine are two brokers on
 * a loopback address only, where tests and demonstrations run.
 *
 * @param url The broker's address.
 * @param address The IP address it is connected to, where it is known.
 */
export function operatorOf(url: string, address: string | null | undefined): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const host = address ?? parsed?.hostname ?? url;
  return /^(127\.|::1$|\[::1\]$|localhost$)/.test(host) ? `${host} ${parsed?.port ?? ""}` : host;
}

function fnv(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  // The last bits of FNV-1a differ little between similar texts.
  hash ^= hash >>> 16;
  return Math.imul(hash, 0x7feb352d) >>> 0;
}
