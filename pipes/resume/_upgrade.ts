/** Carriers that come as requests to a server of the application's own. */

import type { Clock } from "../../internal/clock.ts";
import type { Link } from "../_link.ts";
import { asksForWebSocket, offeredProtocols, upgradeRequest } from "../_upgrade_request.ts";
import { WebSocketLink } from "../_web_socket_link.ts";
import { SUBPROTOCOL } from "./_carrier_dial.ts";
import type { SessionUpgradeOptions } from "./session_server.ts";

/** How long saying goodbye to a WebSocket may take, in milliseconds. */
const GOODBYE = 2000;

/** What came between two looks of ours, besides what the window allows. */
const SLACK = 1024 * 1024;

/**
 * Makes a carrier of a request.
 *
 * @param request The request.
 * @param options What else is known of it.
 * @param limits How much the client may send ahead, and the source of time.
 * @returns What to answer, and the carrier; none where the request asks for something else.
 */
export function upgradeCarrier(
  request: Request,
  { info, idleTimeout }: SessionUpgradeOptions,
  { window, clock }: { readonly window: number; readonly clock: Clock },
): { readonly response: Response; readonly link: Link | null } {
  if (!asksForWebSocket(request) || !offeredProtocols(request).includes(SUBPROTOCOL)) {
    const headers = { upgrade: "websocket", "sec-websocket-protocol": SUBPROTOCOL };
    return { response: new Response(null, { status: 426, headers }), link: null };
  }
  const { socket, response, ...more } = upgradeRequest(request, {
    protocols: [SUBPROTOCOL],
    idleTimeout,
    info,
  });
  // The runtime takes in all that comes; what a client may send is limited by its window.
  const maxUnread = window + SLACK;
  const link = new WebSocketLink(socket, { ...more, maxUnread, binary: true, closeTimeout: GOODBYE, clock });
  return { response, link };
}
