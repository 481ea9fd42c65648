/** Who is let in, as it is now: a list that may change while it is used. */

import { type Clock, systemClock, type Timer } from "../../internal/clock.ts";
import { type AuthorizedKey, readAuthorizedKeys } from "./authorized_keys.ts";
import { Rules, type TunnelRules } from "./tunnel_rules.ts";

/** How often the file is looked at, in milliseconds. */
const LOOK = 1000;

interface Known {
  readonly fingerprint: string;
  readonly rules: Rules;
}

/** Who hears of changes. */
export interface AdmissionNews {
  /** There is another list. */
  changed(keys: number): void;
  /** It could not be read; the one before goes on. */
  failed(message: string): void;
}

/** Who is let in. */
export class Admission implements Disposable {
  /** The keys, for who compares them; the same list all the time. `undefined` where clients have none. */
  readonly keys: Uint8Array[] | undefined;
  readonly #common: Rules;
  #known = new Map<string, Known>();
  readonly #path: string | undefined;
  readonly #clock: Clock;
  #stamp = "";
  #timer: Timer | undefined;
  #closed = false;

  private constructor(rules: TunnelRules, from: string | readonly AuthorizedKey[] | undefined, clock: Clock) {
    this.#common = new Rules(rules);
    this.#clock = clock;
    this.keys = from === undefined ? undefined : [];
    this.#path = typeof from === "string" ? from : undefined;
  }

  /**
   * Reads who is let in.
   *
   * @param rules What everybody is allowed.
   * @param from The keys, or the file with them; `undefined` where clients have none.
   * @param clock Source of time.
   */
  static async open(
    rules: TunnelRules,
    from: string | readonly AuthorizedKey[] | undefined,
    clock: Clock = systemClock,
  ): Promise<Admission> {
    const admission = new Admission(rules, from, clock);
    if (typeof from === "string") {
      admission.#stamp = await stampOf(from);
      admission.#take(await readAuthorizedKeys(from));
    } else if (from) admission.#take(from);
    return admission;
  }

  /** How a client is called, where it has a key that is known. */
  nameOf(publicKey: Uint8Array | null): string | null {
    return (publicKey && this.#known.get(publicKey.toHex())?.fingerprint) ?? null;
  }

  /**
   * What a client may do.
   *
   * @param publicKey Its key.
   * @returns The rules; `null` where it is not let in.
   */
  rulesOf(publicKey: Uint8Array | null): Rules | null {
    if (!this.keys) return this.#common;
    return (publicKey && this.#known.get(publicKey.toHex())?.rules) ?? null;
  }

  /** Looks at the file from now on. */
  watch(news: AdmissionNews): void {
    const path = this.#path;
    if (path === undefined) return;
    const look = async (): Promise<void> => {
      try {
        const stamp = await stampOf(path);
        if (stamp !== this.#stamp) {
          this.#stamp = stamp;
          const keys = await readAuthorizedKeys(path);
          if (this.#closed) return;
          this.#take(keys);
          news.changed(keys.length);
        }
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (this.#stamp !== message) news.failed(message);
        this.#stamp = message;
      }
      if (!this.#closed) this.#timer = this.#clock.after(LOOK, () => void look());
    };
    this.#timer = this.#clock.after(LOOK, () => void look());
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #take(keys: readonly AuthorizedKey[]): void {
    // Of two lines with one key the first one counts.
    this.#known = new Map(
      keys.map(({ key, rules }) =>
        [key.publicKey.toHex(), {
          fingerprint: key.fingerprint,
          rules: rules ? new Rules(rules) : this.#common,
        }] as const
      ).reverse(),
    );
    this.keys?.splice(0, this.keys.length, ...keys.map(({ key }) => key.publicKey));
  }
}

/** What changes with a file, whether it is written to or replaced. */
async function stampOf(path: string): Promise<string> {
  const { mtime, ctime, size, ino, mode } = await Deno.stat(path);
  return [mtime?.getTime(), ctime?.getTime(), size, ino, mode].join();
}
