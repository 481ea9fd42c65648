/** Sessions into a store, and out of it again in another process. */

import { setImmediate } from "node:timers";
import type { Store } from "../../internal/store.ts";
import type { BasePipe } from "../_base_pipe.ts";
import type { Framer } from "../framing.ts";
import { checkSnapshotKey, decodeSaved, encodeSaved, type SavedSession } from "./_saved_session.ts";
import type { SessionEntry } from "./_session_entry.ts";
import type { SaveSessionsOptions, SessionSnapshotOptions } from "./session_server.ts";
import type { SessionPipe } from "./session.ts";

const PREFIX = "session/";
const NOTHING = new Uint8Array(0);

/** A session, and the pipe that stands on it. */
export interface SessionToSave {
  /** The session. */
  readonly entry: SessionEntry;
  /** Its pipe; none where the session is over, and only answers a client that asks again. */
  readonly pipe: (SessionPipe & BasePipe) | undefined;
  /** Whether the application has it. */
  readonly isOut: boolean;
}

/** A session of a store. */
export interface StoredSession {
  /** Its key in the store. */
  readonly name: string;
  /** What it was. */
  readonly saved: SavedSession;
}

/**
 * Looks whether sessions can be saved at all.
 *
 * @throws {TypeError} If they cannot.
 */
export function checkSaving(framing: Framer | undefined, { key }: SessionSnapshotOptions): void {
  checkSnapshotKey(key);
  if (!framing || framing.decoder().pending) return;
  throw new TypeError(
    `Cannot take a snapshot: the framing ${framing.name} does not tell what it keeps of a message, see FrameDecoder.pending`,
  );
}

/**
 * Puts sessions into a store; none of them says or hears anything from now on.
 *
 * @param sessions The sessions.
 * @param store Where to.
 * @param options Encryption, and what the application wants to keep besides.
 */
export async function saveSessions(
  sessions: readonly SessionToSave[],
  store: Store,
  options: SaveSessionsOptions,
): Promise<void> {
  const { key, prefix = PREFIX, state } = options;
  for (const { entry: { session } } of sessions) {
    session?.link.freeze();
    session?.release();
  }
  // What was handed out a moment ago is answered, and what was answered is written, before that is asked for.
  await turn();
  await Promise.all(sessions.map(({ entry, pipe, isOut }) => {
    const { session, facts, epoch } = entry;
    if (!session || session.core.failure) return;
    const { link, core } = session;
    const { bytes: unsent, ended } = link.unsent;
    const unread = concat(pipe && pipe.state.type === "open" ? pipe.kept() : NOTHING, link.leftover);
    const name = `${prefix}${facts.id.toHex()}`;
    const saved: SavedSession = {
      ...{ facts, epoch, unread, unsent, ended, core: core.snapshot() },
      handed: link.handed - unread.length + link.leftover.length,
      closing: pipe === undefined || pipe.state.type !== "open" || link.closing,
      state: pipe && isOut && state?.(pipe) || NOTHING,
    };
    return store.set(name, encodeSaved(saved, name, key));
  }));
}

/**
 * Takes sessions out of a store.
 *
 * @param store The store.
 * @param options How they were put there.
 * @returns Those that nobody else has taken.
 * @throws {SyntaxError} If one of them is damaged; then all of them stay.
 */
export async function takeSessions(
  store: Store,
  { key, prefix = PREFIX }: SessionSnapshotOptions,
): Promise<readonly StoredSession[]> {
  checkSnapshotKey(key);
  const found: (StoredSession & { readonly value: Uint8Array })[] = [];
  for await (const [name, value] of store.list(prefix)) {
    found.push({ name, value, saved: decodeSaved(value, name, key) });
  }
  const taken: StoredSession[] = [];
  for (const { name, value, saved } of found) {
    if (await store.compareAndSet(name, value, undefined)) taken.push({ name, saved });
  }
  return taken;
}

/** Lets everything go on that waits for nothing but its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
