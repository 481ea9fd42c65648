/** Where a session becomes a pipe. */

import { BasePipe } from "../_base_pipe.ts";
import type { PipeKeeper, PipeOptions } from "../_pipe_options.ts";
import type { Session } from "./_session.ts";
import type { SessionPipe } from "./session.ts";

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
  return pipe as unknown as SessionPipe & BasePipe;
}
