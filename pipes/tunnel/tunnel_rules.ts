/** Which targets a tunnel may lead to. */

import { parseIp } from "../../internal/ip.ts";
import { formatTarget, parseTarget, type TunnelTarget } from "./target.ts";

/** What is allowed to whoever is let in, or to one key. */
export interface TunnelRules {
  /** The targets, as `HOST:PORT`; the first one is taken where a client names none. `"*"` is any on the public Internet. */
  readonly to?: readonly string[] | undefined;
  /**
   * The addresses that the server listens on when a client asks for it, as `HOST:PORT`; port 0 stands for any port there.
   *
   * @default {[]} None.
   */
  readonly listen?: readonly string[] | undefined;
  /**
   * Whether `"*"` leads to private addresses too: this machine, its own networks, link-local and reserved ones.
   *
   * @default {false}
   */
  readonly allowPrivate?: boolean | undefined;
}

/** Rules that were read. */
export class Rules {
  readonly #to: ReadonlySet<string>;
  readonly #listen: readonly TunnelTarget[];
  readonly #any: boolean;
  readonly #private: boolean;
  /** Where who names no target is led. */
  readonly first: TunnelTarget | null;

  /**
   * @param rules As somebody wrote them.
   * @throws {TypeError} Where one makes no sense.
   */
  constructor({ to = [], listen = [], allowPrivate = false }: TunnelRules) {
    const targets = to.filter((one) => one !== "*").map((one) => parseTarget(one));
    this.#to = new Set(targets.map(formatTarget));
    this.#any = to.includes("*");
    this.#private = allowPrivate;
    this.#listen = listen.map((one) => parseTarget(one, "listen"));
    this.first = targets[0] ?? null;
  }

  /**
   * The target of a connection.
   *
   * @param asked What the client has asked for.
   * @returns The target, and whether only public addresses of it will do; `null` where it is not allowed.
   */
  allow(asked: TunnelTarget | null): { readonly target: TunnelTarget; readonly publicOnly: boolean } | null {
    const target = asked ?? this.first;
    if (!target) return null;
    if (this.#to.has(formatTarget(target))) return { target, publicOnly: false };
    if (!this.#any) return null;
    const publicOnly = !this.#private;
    return publicOnly && parseIp(target.hostname) && !isPublic(target.hostname)
      ? null
      : { target, publicOnly };
  }

  /** Whether the server may listen there for a client. */
  allowListen({ hostname, port }: TunnelTarget): boolean {
    return this.#listen.some((one) => one.hostname === hostname && (one.port === 0 || one.port === port));
  }
}

/**
 * Whether an address is one of the public Internet: neither this machine, nor a private network, nor anything reserved.
 *
 * @param address An IP address; a name is none.
 */
export function isPublic(address: string): boolean {
  const bytes = parseIp(address.replace(/%.*$/, ""));
  if (!bytes) return false;
  if (bytes.length === 4) return isPublicV4(bytes);
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  // RFC 4291, RFC 6890: only 2000::/3 is handed out, and not all of it leads where it seems to.
  if ((a & 0xe0) !== 0x20) return isNat64(bytes) && isPublicV4(bytes.subarray(12));
  if (a === 0x20 && b === 0x02) return isPublicV4(bytes.subarray(2, 6)); // 6to4
  if (a === 0x20 && b === 0x01 && c < 2) return false; // Teredo, benchmarks, and others of 2001::/23
  return !(a === 0x20 && b === 0x01 && c === 0x0d && d === 0xb8) && !(a === 0x3f && b === 0xff && c < 0x10);
}

/** 64:ff9b::/96 (RFC 6052), whose end is an IPv4 address. */
function isNat64(bytes: Uint8Array): boolean {
  return [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0].every((byte, n) => bytes[n] === byte);
}

/** RFC 6890, with what came later. */
function isPublicV4([a = 0, b = 0, c = 0]: Uint8Array): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100) return (b & 0xc0) !== 64;
  if (a === 169) return b !== 254;
  if (a === 172) return (b & 0xf0) !== 16;
  if (a === 198) return (b & 0xfe) !== 18 && !(b === 51 && c === 100);
  if (a === 203) return !(b === 0 && c === 113);
  return !(a === 192 && (b === 168 || b === 0 && (c === 0 || c === 2)));
}
