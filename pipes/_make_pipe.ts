/** Where pipes are made of links, whichever end opened them. */

import type { BasePipe } from "./_base_pipe.ts";
import type { Link } from "./_link.ts";
import { type KeepOptions, keepPipe, type NetworkKeeperOptions } from "./_network_keeper.ts";

/** What is known of a new pipe besides its link. */
export type MakePipeOptions = KeepOptions;

/**
 * Makes a pipe.
 *
 * @param link The connection, which belongs to the pipe now.
 * @param options What the user asked for.
 * @param more What else is known.
 */
export function makePipe(link: Link, options: NetworkKeeperOptions, more: MakePipeOptions = {}): BasePipe {
  return keepPipe(link, options, more);
}
