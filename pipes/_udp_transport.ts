/** Pipes over UDP. */

import type { PipeUrl } from "./address.ts";
import type { ConnectOptions } from "./connect.ts";
import type { Dialer, LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
import type { PipeTransport } from "./_transport.ts";
import { checkVia } from "./_check_via.ts";
import { openUdpLink } from "./_udp_link.ts";
import { listenUdp } from "./_udp_listener.ts";
import { checkUdpOptions } from "./udp_options.ts";

/** Carries `udp:`. */
export const udpTransport: PipeTransport = {
  schemes: ["udp"],
  dial: dialerOf,
  listen: listenOn,
};

function dialerOf(url: PipeUrl, options: ConnectOptions): Dialer {
  checkUdpOptions("connect", options.udp ?? {});
  if (options.via) checkVia(options.via);
  return ({ signal }) => openUdpLink(url, { ...options, signal });
}

function listenOn(url: PipeUrl, options: ListenOptions): Promise<LinkListener> {
  return listenUdp(url, options);
}
