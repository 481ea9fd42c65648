/** Where a session becomes a pipe. */

import { BasePipe } from "../_base_pipe.ts";
import type { PipeKeeper, PipeOptions } from "../_pipe_options.ts";
import type { Session } from "./_session.ts";
import type { SessionPipe } from "./session.ts";
import { reasonOfAbort } from "./session_lost.ts";

/** What only who opened the session can do. */
export type Migrate = SessionPipe["migrate"];

/**
 * Makes the pipe of a session.
 *
 * @param session The session, which ends with the pipe.
 * @param options What the user asked for.
 * @param migrate Moves it to a new connection.
 */
export function sessionPipe(
  session: Session,
  options: PipeOptions,
  migrate: Migrate,
): SessionPipe & BasePipe {
  // A session is lost for good, so nobody looks for another link.
  const keeper: PipeKeeper = { lost: () => undefined, ended: () => {} };
  const pipe = Object.assign(new BasePipe(session.link, options, keeper), { migrate });
  session.onEvent = (event) => pipe.emit(event);
  sessions.set(pipe, session);
  return pipe as unknown as SessionPipe & BasePipe;
}

/** The sessions below pipes, for those who have to say more to them than a pipe can. */
const sessions = new WeakMap<object, Session>();

/**
 * Gives a session up, with a word for the other end.
 *
 * @param pipe Its pipe.
 * @param code What ABORT says; see docs/PROTOCOLS.md, "Ending".
 * @param why Why, in the middle of a sentence.
 */
export function abortSession(pipe: SessionPipe, code: number, why: string): void {
  sessions.get(pipe)?.lose(reasonOfAbort(code), why, code);
}
