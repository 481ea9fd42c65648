/** Taking part in a group, interface by interface, and again when addresses have come and gone. */

import { HoldfastError } from "../internal/errors.ts";
import {
  isLoopbackNic,
  isMulticast,
  type Nic,
  nics,
  type UdpVia,
  withoutZone,
  zoneOf,
} from "./_udp_address.ts";
import type { UdpSocket } from "./_udp_socket.ts";
import type { UdpMulticastOptions } from "./udp_options.ts";

/** A group, and where it is met. */
export interface UdpGroupOptions {
  /** What is being done, for messages. */
  readonly operation: string;
  /** The group's address; a zone names the only interface. */
  readonly group: string;
  /** Whether to take part, or only to speak to it. */
  readonly join: boolean;
  readonly multicast: UdpMulticastOptions;
  readonly via?: UdpVia;
}

/** One interface, as the runtime's calls want it named. */
interface Place {
  /** What tells it from another one; a new address makes it another, so that it is joined again. */
  readonly key: string;
  /** An IPv4 address of it, or `::%` and its name; `undefined` leaves it to the system. */
  readonly text: string | undefined;
}

/** A socket's part in a group. */
export class UdpGroup {
  readonly #socket: UdpSocket;
  readonly #options: UdpGroupOptions;
  readonly #joined = new Map<string, Place>();

  /**
   * Takes part.
   *
   * @throws {HoldfastError} When that is possible on no interface.
   */
  constructor(socket: UdpSocket, options: UdpGroupOptions) {
    this.#socket = socket;
    this.#options = options;
    const { multicast: { ttl, loopback }, operation, join } = options;
    if (ttl !== undefined && ttl !== 1 && socket.family === 6) {
      throw new HoldfastError(`Cannot ${operation}: the runtime cannot set the hop limit of groups of IPv6`, {
        code: "unsupported",
        operation,
        hint: "Leave out udp.multicast.ttl, or use a group of IPv4",
      });
    }
    if (ttl !== undefined && socket.family === 4) socket.group.setMulticastTTL(ttl);
    if (loopback !== undefined) socket.group.setMulticastLoopback(loopback);
    this.rejoin();
    if (!join || this.#joined.size > 0) return;
    throw new HoldfastError(`Cannot ${operation}: no interface can take part in the group`, {
      code: "no-interface",
      operation,
      hint: nics()
        ? "Give the machine an address, or name an interface that has one in udp.multicast.interfaces"
        : "Run again with --allow-sys=networkInterfaces, so that the interfaces can be seen",
    });
  }

  /** How many interfaces take part. */
  get size(): number {
    return this.#joined.size;
  }

  /** Joins on the interfaces that are there now, and have not been joined as they are. */
  rejoin(): void {
    const [wanted, out] = this.#places();
    const { group } = this.#socket;
    const address = withoutZone(this.#options.group);
    // The interface may have got another address; one that is away now is tried again when it is back.
    if (out !== undefined) attempt(() => group.setMulticastInterface(out));
    if (!this.#options.join) return;
    for (const [key, { text }] of this.#joined) {
      if (wanted.some((place) => place.key === key)) continue;
      attempt(() => group.dropMembership(address, text));
      this.#joined.delete(key);
    }
    for (const place of wanted) {
      // Joining twice is refused, and not to be told from other refusals: what was joined once is still joined then, and
      // what was taken away and put back meanwhile is joined anew.
      if (attempt(() => group.addMembership(address, place.text))) this.#joined.set(place.key, place);
    }
  }

  /** Where to take part, and by which interface to send. */
  #places(): readonly [readonly Place[], string | undefined] {
    const { multicast, via = {}, group } = this.#options;
    const named = zoneOf(group) ?? via.interface ?? via.address;
    const names = named === undefined ? multicast.interfaces : [named];
    const all = nics();
    if (names === undefined) {
      const places = (all ?? []).filter((nic) => !isLoopbackNic(nic)).flatMap((nic) => this.#placeOf(nic));
      return [places.length > 0 ? places : [{ key: "", text: undefined }], undefined];
    }
    const places = names.flatMap((name) => {
      const nic = all?.find((one) => one.name === name || one.v4.includes(name) || one.v6.includes(name));
      if (nic) return this.#placeOf(nic, name);
      // Where the interfaces are out of sight, the system has to know what was meant.
      return all ? [] : [{ key: name, text: this.#socket.family === 4 ? name : `::%${name}` }];
    });
    return [places, places[0]?.text];
  }

  #placeOf(nic: Nic, named?: string): readonly Place[] {
    const { name, index, v4, v6 } = nic;
    if (this.#socket.family === 4) {
      const text = v4.find((address) => address === named) ?? v4[0];
      return text === undefined ? [] : [{ key: `${name} ${text}`, text }];
    }
    if (v6.length === 0) return [];
    const zone = Deno.build.os === "windows" ? String(index ?? 0) : name;
    return [{ key: `${name} ${index}`, text: `::%${zone}` }];
  }
}

/** What a socket is bound to that hears what is sent to a group. */
export function groupAddress(group: string): string {
  const bytes = withoutZone(group);
  // Bound to the group itself it hears nothing else; Windows has no such thing, and a group of one link needs its zone.
  const whole = Deno.build.os !== "windows" && isMulticast(group);
  const lacksZone = /^ff[0-9a-f][12]:/i.test(bytes) && zoneOf(group) === undefined;
  if (whole && !lacksZone) return group;
  return bytes.includes(":") ? "::" : "0.0.0.0";
}

/** Does what the system may refuse. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false; // the runtime gives "EINVAL" for every refusal, whatever its reason
  }
}
