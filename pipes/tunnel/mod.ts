/**
 * A tunnel for programs that know nothing of it: each of their connections is carried by a session that outlives what carries
 * it, so that links may break and addresses change between both ends.
 *
 * @module
 */

export { type AuthorizedKey, readAuthorizedKeys } from "./authorized_keys.ts";
export {
  openTunnel,
  type OpenTunnelOptions,
  type TunnelClientEnd,
  type TunnelForward,
  type TunnelReverse,
} from "./open_tunnel.ts";
export { serveTunnel, type ServeTunnelOptions } from "./serve_tunnel.ts";
export { formatTarget, parseTarget, type TunnelTarget } from "./target.ts";
export type { Tunnel, TunnelConnection, TunnelDrainOptions, TunnelEvent, TunnelFailure } from "./tunnel.ts";
export { TunnelError, type TunnelErrorCode } from "./tunnel_error.ts";
export type { TunnelRules } from "./tunnel_rules.ts";
