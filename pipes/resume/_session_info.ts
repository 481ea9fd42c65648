/** What an application may know of a session: always as it is now, and at next to no cost for each. */

import type { Session } from "./_session.ts";
import type { SessionInfo } from "./session.ts";

/** What does not change. */
export type FixedInfo = Pick<SessionInfo, "id" | "secrecy" | "peerKey" | "greeting">;

/** Shows a session. */
export class LiveInfo implements FixedInfo {
  /** Its name. */
  readonly id: string;
  /** How it is protected. */
  readonly secrecy: SessionInfo["secrecy"];
  /** The other end's key. */
  readonly peerKey: Uint8Array | null;
  /** What the client said first. */
  readonly greeting: Uint8Array;
  readonly #session: Session;

  private constructor(session: Session, { id, secrecy, peerKey, greeting }: FixedInfo) {
    this.#session = session;
    this.id = id;
    this.secrecy = secrecy;
    this.peerKey = peerKey;
    this.greeting = greeting;
    // On the object itself, so that what prints or copies it shows them; made once for all objects.
    Object.defineProperties(this, LiveInfo.#live);
  }

  /**
   * Makes one.
   *
   * @param session What it shows.
   * @param fixed What does not change.
   */
  static of(session: Session, fixed: FixedInfo): SessionInfo {
    return new LiveInfo(session, fixed) as unknown as SessionInfo;
  }

  static readonly #live: PropertyDescriptorMap = LiveInfo.#getters({
    state: (session) => session.state,
    epoch: (session) => session.epoch,
    sent: ({ core }) => core.written,
    acknowledged: ({ core }) => Math.min(core.acknowledged, core.written),
    received: ({ link }) => link.handed,
    resumes: (session) => session.resumes,
    migrations: (session) => session.migrations,
    suspended: (session) => session.suspended,
  });

  static #getters(get: Readonly<Record<string, (session: Session) => unknown>>): PropertyDescriptorMap {
    return Object.fromEntries(
      Object.entries(get).map(([name, of]) => [name, {
        enumerable: true,
        get(this: LiveInfo): unknown {
          return of(this.#session);
        },
      }]),
    );
  }
}
