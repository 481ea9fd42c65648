/** What a scheme of a URL means: how links are opened and accepted by it. */

import type { PipeUrl, Transport } from "./address.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Dialer, Link, LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";

/** What {@linkcode PipeTransport.listen} is told besides the user's options. */
export interface ListenContext {
  /** Calls it off. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What a transport that lies on top makes of a new link, where that shows that somebody lives at the other end.
 *
 * @param link The link, which it owns.
 * @param signal Gives up.
 * @returns What carries the pipe.
 */
export type LinkProof = (link: Link, signal: AbortSignal) => Promise<Link>;

/** A way to carry pipes. */
export interface PipeTransport {
  /** The schemes that are its own. */
  readonly schemes: readonly Transport[];
  /**
   * Prepares connecting; what the options get wrong is thrown here, and not at the first attempt.
   *
   * @param url Where to.
   * @param options What the user asked for.
   * @param prove What a race among addresses goes on until, and what its link is then. Who does not race may leave it alone.
   * @returns What opens a link; it throws what went wrong as the runtime gave it, and makes one attempt a call.
   */
  dial(url: PipeUrl, options: ConnectOptions, prove?: LinkProof): Dialer;
  /**
   * The same, offering one more protocol before those that the user asked for; where protocols are agreed on by what is carried.
   *
   * @param protocol Its name.
   */
  offering?(protocol: string): PipeTransport;
  /**
   * Listens on one address.
   *
   * @param url Where; a host in it is one address, or a name that the system looks up.
   * @param options What the user asked for.
   * @returns What accepts links.
   * @throws What went wrong, as the runtime gave it.
   */
  listen(url: PipeUrl, options: ListenOptions): Promise<LinkListener>;
}
