/** Where pipes are made of links, whichever end opened them. */

import { BasePipe, type PipeKeeper, type PipeOptions } from "./_base_pipe.ts";
import type { Dialer, Link } from "./_link.ts";

/** What is known of a new pipe besides its link. */
export interface MakePipeOptions {
  /** What opens another link to the same place; missing for pipes that were accepted. */
  readonly dial?: Dialer;
  /** Called when the pipe is over. */
  readonly ended?: () => void;
}

/**
 * Makes a pipe.
 *
 * @param link The connection, which belongs to the pipe now.
 * @param options What the user asked for.
 * @param more What else is known.
 */
export function makePipe(link: Link, options: PipeOptions, { ended }: MakePipeOptions = {}): BasePipe {
  const keeper: PipeKeeper = { lost: () => undefined, ended: () => ended?.() };
  return new BasePipe(link, options, keeper);
}
