/** What a pipe over UDP can be told besides what every pipe is told. */

import { checkNumber } from "../recover/_check.ts";

/** The most that one datagram holds over IPv4 (RFC 768: 65535 bytes with its header, less 20 of IPv4 and 8 of UDP). */
export const MAX_DATAGRAM = 65_507;

/** How a group is joined and spoken to. */
export interface UdpMulticastOptions {
  /**
   * Whether {@linkcode connect} takes part in the group: it is bound to the group's port and hears what anybody sends to
   * the group. Otherwise it only speaks to it, from a port of its own, and hears those who answer. One who listens on a
   * group always takes part.
   *
   * @default {false}
   */
  readonly join?: boolean;
  /**
   * Where to take part: names of interfaces, or IPv4 addresses that they have. What is sent leaves by the first of them.
   *
   * @default every interface but loopback; what is sent leaves as the routes say
   */
  readonly interfaces?: readonly string[];
  /**
   * How many routers may pass on what is sent, 1 to 255; 1 stays on the link. The runtime can set it for IPv4 only.
   *
   * @default {1}
   */
  readonly ttl?: number;
  /**
   * Whether those on this machine who take part get what is sent from here, the sender among them.
   *
   * @default {true}
   */
  readonly loopback?: boolean;
}

/** What both ends of a pipe over UDP take. */
export interface UdpOptions {
  /**
   * How many bytes a datagram may have; a longer message is refused with a `RangeError`. What exceeds the smallest
   * packet on the way (often 1500 bytes, less in tunnels) travels in fragments: lose one and the datagram is lost, and
   * some firewalls let no fragment pass. 1200 bytes pass nearly everywhere (RFC 9000 section 14).
   *
   * @default {65_507}
   */
  readonly maxDatagram?: number;
  /**
   * Whether datagrams may be sent to a broadcast address.
   *
   * @default {true} for 255.255.255.255, otherwise `false`
   */
  readonly broadcast?: boolean;
  /** How a group is joined and spoken to, where the address is one of a group. */
  readonly multicast?: UdpMulticastOptions;
  /**
   * After how many milliseconds without sending an empty datagram is sent, so that a router with address translation
   * keeps the way back open; 15,000 to 25,000 is usual. Where it is set, empty datagrams that arrive are taken for the
   * same and not handed over. Otherwise nothing is sent but what the application sends.
   *
   * @default {undefined} No such datagrams.
   */
  readonly keepAlive?: number;
}

/** What {@linkcode connect} takes for `udp:`. */
export interface UdpConnectOptions extends UdpOptions {
  /**
   * Whether datagrams of anybody are received, and not only those of the address that was connected to. `Packet.from`
   * tells whose they are.
   *
   * @default {true} for groups and with `broadcast`, otherwise `false`
   */
  readonly anyone?: boolean;
}

/** What {@linkcode listen} takes for `udp:`. */
export interface UdpListenOptions extends UdpOptions {
  /**
   * How many peers may be there at once. One more takes the place of the one not heard of for the longest time that has
   * not been seen to get our answers; where all have, the new one is not let in.
   *
   * @default {1024}
   */
  readonly maxPeers?: number;
  /**
   * After how many milliseconds without a datagram to or from a peer its pipe ends.
   *
   * @default {300_000}
   */
  readonly idle?: number;
  /**
   * How many bytes of received datagrams may wait, of all peers together.
   *
   * @default {16 * 1024 * 1024}
   */
  readonly memory?: number;
}

/** Checks the numbers. */
export function checkUdpOptions(operation: string, options: UdpConnectOptions & UdpListenOptions): void {
  const { maxDatagram, multicast, keepAlive, maxPeers, idle, memory } = options;
  const check = (name: string, value: number | undefined, from: number, to: number): void => {
    if (value !== undefined) checkNumber(operation, name, value, { from, to, whole: true });
  };
  check("udp.maxDatagram", maxDatagram, 1, MAX_DATAGRAM);
  check("udp.multicast.ttl", multicast?.ttl, 1, 255);
  check("udp.keepAlive", keepAlive, 1, Number.MAX_SAFE_INTEGER);
  check("udp.maxPeers", maxPeers, 1, Number.MAX_SAFE_INTEGER);
  check("udp.idle", idle, 1, Number.MAX_SAFE_INTEGER);
  check("udp.memory", memory, 1, Number.MAX_SAFE_INTEGER);
}
