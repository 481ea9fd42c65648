/**
 * Messages between peers over several MQTT brokers at once: none lost, none twice, whichever broker dies, and no broker can read
 * them.
 *
 * ```ts ignore
 * import { joinSignal, loadIdentity } from "@holdfast/net/signal";
 * import { mqtt } from "@holdfast/net/signal/mqtt";
 *
 * await using peer = await joinSignal({
 *   identity: await loadIdentity("me.key"),
 *   brokers: [mqtt("mqtts://a.example"), mqtt("wss://b.example/mqtt")],
 * });
 * for await (const message of peer) console.log(message.from, message.text());
 * ```
 *
 * @module
 */

export { joinSignal } from "./peer.ts";
export type { SignalPeer } from "./signal_peer.ts";
export type {
  BrokerStatus,
  HandleOptions,
  JoinSignalOptions,
  PeerStatus,
  Presence,
  Receipt,
  SendOptions,
  SignalEvent,
  SignalStatus,
} from "./peer_options.ts";
export type { Room, RoomEvent, RoomOptions, RoomReceipt } from "./room.ts";
export { Message, type MessageFields } from "./message.ts";
export {
  DeliveryError,
  type DeliveryErrorOptions,
  type DeliveryFailure,
  type DeliveryPath,
} from "./delivery_error.ts";
export {
  formatIdentity,
  Identity,
  type IdentityOptions,
  isPeerId,
  makeIdentity,
  parseIdentity,
} from "./identity.ts";
export { loadIdentity, saveIdentity } from "./identity_file.ts";
export { type ContactCard, formatCard, type FormatCardOptions, parseCard } from "./card.ts";
export type { AckLevel, OutboxOptions } from "./outbox.ts";
export { type Place, roomPlace } from "./_notice.ts";
export type { Broker, BrokerLink, BrokerOpenOptions, BrokerState } from "./_broker.ts";
