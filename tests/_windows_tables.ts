/** Tables of Windows: recorded ones, and ones made up from data, laid out as IP Helper does it. */

import { AF, LAYOUT } from "../watch/_windows_layout.ts";
import type { WindowsBytes } from "../watch/_read_windows.ts";
import type { Adapter, IfRow, NeighbourRow, RouteRow, TableRoute } from "../watch/_windows_reading.ts";
import { type Memory, socketAddress } from "../watch/_windows_tables.ts";

const SESSION = new URL("./fixtures/windows/session.json", import.meta.url);

interface FamilyText {
  readonly route: { readonly row: string; readonly source: string } | null;
  readonly routes: string | null;
  readonly neighbours: string | null;
}

interface SceneText {
  readonly scene: string;
  readonly adapters: { readonly base: string; readonly bytes: string };
  readonly links: string | null;
  readonly v4: FamilyText;
  readonly v6: FamilyText;
}

function bytes(text: string | null): Uint8Array | null {
  return text === null ? null : Uint8Array.fromBase64(text);
}

/** The scenes that `tests/windows/record.ts` recorded, in order. */
export function recordedSession(): readonly { readonly scene: string; readonly tables: WindowsBytes }[] {
  const family = ({ route, routes, neighbours }: FamilyText): WindowsBytes["v4"] => ({
    route: route && { row: Uint8Array.fromBase64(route.row), source: Uint8Array.fromBase64(route.source) },
    routes: bytes(routes),
    neighbours: bytes(neighbours),
  });
  return (JSON.parse(Deno.readTextFileSync(SESSION)) as SceneText[]).map((text) => ({
    scene: text.scene,
    tables: {
      adapters: { base: BigInt(text.adapters.base), bytes: Uint8Array.fromBase64(text.adapters.bytes) },
      links: bytes(text.links),
      v4: family(text.v4),
      v6: family(text.v6),
    },
  }));
}

/** An adapter that is an ordinary network card, but for what is said. */
export function adapter(fields: Partial<Adapter> = {}): Adapter {
  return {
    index: 7,
    name: "Ethernet",
    description: "Intel(R) Ethernet Connection",
    type: 6,
    operStatus: 1,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    mtu: 1500,
    metric: { v4: 25, v6: 35 },
    addresses: [],
    dns: [],
    search: [],
    ...fields,
  };
}

/** Lays things one behind the other into memory, and knows where they are. */
class Layout {
  readonly #base: bigint;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(base: bigint) {
    this.#base = base;
  }

  get memory(): Memory {
    return { base: this.#base, bytes: this.#bytes };
  }

  get data(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  add(size: number): number {
    const at = this.#bytes.length;
    const larger = new Uint8Array(at + (size + 7 & ~7));
    larger.set(this.#bytes);
    this.#bytes = larger;
    return at;
  }

  put(content: Uint8Array, at: number = this.add(content.length)): number {
    this.#bytes.set(content, at);
    return at;
  }

  text(text: string): number {
    const wide = Uint16Array.from(`${text}\0`, (char) => char.charCodeAt(0));
    return this.put(new Uint8Array(wide.buffer));
  }

  /** Writes a pointer to one place into another. */
  link(at: number, to: number): void {
    this.data.setBigUint64(at, this.#base + BigInt(to), true);
  }

  /** A linked list whose first pointer stands at a place. */
  list<T>(
    items: readonly T[],
    first: number,
    size: number,
    next: number,
    fill: (item: T, at: number) => void,
  ): void {
    let from = first;
    for (const item of items) {
      const at = this.add(size);
      this.link(from, at);
      from = at + next;
      fill(item, at);
    }
  }
}

/** Lays adapters out as GetAdaptersAddresses does. */
export function buildAdapters(adapters: readonly Adapter[], base: bigint = 0x2_0000_1000n): Memory {
  const layout = new Layout(base);
  const gaa = LAYOUT.IP_ADAPTER_ADDRESSES_LH;
  let next = -1;
  for (const one of adapters) {
    const at = layout.add(gaa.size);
    if (next >= 0) layout.link(next, at);
    next = at + gaa.Next;
    buildAdapter(layout, at, one);
  }
  return layout.memory;
}

function buildAdapter(layout: Layout, at: number, one: Adapter): void {
  const gaa = LAYOUT.IP_ADAPTER_ADDRESSES_LH;
  const unicast = LAYOUT.IP_ADAPTER_UNICAST_ADDRESS_LH;
  const server = LAYOUT.IP_ADAPTER_DNS_SERVER_ADDRESS_XP;
  const suffix = LAYOUT.IP_ADAPTER_DNS_SUFFIX;
  const u32 = (offset: number, value: number): void => layout.data.setUint32(offset, value, true);
  u32(at + gaa.Length, gaa.size);
  u32(at + gaa.IfIndex, one.index);
  u32(at + gaa.Ipv6IfIndex, one.index);
  u32(at + gaa.Mtu, one.mtu);
  u32(at + gaa.IfType, one.type);
  u32(at + gaa.OperStatus, one.operStatus);
  u32(at + gaa.Ipv4Metric, one.metric.v4);
  u32(at + gaa.Ipv6Metric, one.metric.v6);
  u32(at + gaa.PhysicalAddressLength, one.mac.length);
  layout.put(one.mac, at + gaa.PhysicalAddress);
  layout.link(at + gaa.FriendlyName, layout.text(one.name));
  layout.link(at + gaa.Description, layout.text(one.description));
  layout.link(at + gaa.DnsSuffix, layout.text(one.search[0] ?? ""));
  const address = (from: number, length: number, value: Uint8Array): void => {
    const size = value.length === 4 ? 16 : LAYOUT.SOCKADDR_INET.size;
    layout.link(from, layout.put(socketAddress(value).subarray(0, size)));
    u32(length, size);
  };
  layout.list(one.addresses, at + gaa.FirstUnicastAddress, unicast.size, unicast.Next, (item, to) => {
    u32(to + unicast.DadState, item.dadState);
    u32(to + unicast.SuffixOrigin, item.suffixOrigin);
    u32(to + unicast.PreferredLifetime, item.preferred);
    u32(to + unicast.ValidLifetime, item.valid);
    layout.data.setUint8(to + unicast.OnLinkPrefixLength, item.prefix);
    address(to + unicast["Address.lpSockaddr"], to + unicast["Address.iSockaddrLength"], item.address);
  });
  layout.list(
    one.dns,
    at + gaa.FirstDnsServerAddress,
    server.size,
    server.Next,
    (item, to) => address(to + server["Address.lpSockaddr"], to + server["Address.iSockaddrLength"], item),
  );
  layout.list(one.search.slice(1), at + gaa.FirstDnsSuffix, suffix.size, suffix.Next, (item, to) => {
    for (let i = 0; i < item.length; i++) {
      layout.data.setUint16(to + suffix.String + 2 * i, item.charCodeAt(i), true);
    }
  });
}

function buildTable<T>(
  rows: readonly T[],
  size: number,
  fill: (row: DataView, item: T, bytes: Uint8Array) => void,
): Uint8Array {
  const table = new Uint8Array(LAYOUT.MIB_IF_TABLE2.Table + rows.length * size);
  new DataView(table.buffer).setUint32(0, rows.length, true);
  for (const [i, item] of rows.entries()) {
    const at = LAYOUT.MIB_IF_TABLE2.Table + i * size;
    fill(new DataView(table.buffer, at, size), item, table.subarray(at, at + size));
  }
  return table;
}

/** Lays out what GetIfTable2 gives. */
export function buildIfTable(rows: readonly IfRow[]): Uint8Array {
  const layout = LAYOUT.MIB_IF_ROW2;
  return buildTable(rows, layout.size, (row, { index, adminStatus, mediaState }) => {
    row.setUint32(layout.InterfaceIndex, index, true);
    row.setUint32(layout.AdminStatus, adminStatus, true);
    row.setUint32(layout.MediaConnectState, mediaState, true);
  });
}

/** Lays out what GetIpNetTable2 gives. */
export function buildNeighbourTable(rows: readonly NeighbourRow[]): Uint8Array {
  const layout = LAYOUT.MIB_IPNET_ROW2;
  return buildTable(rows, layout.size, (row, { index, address, mac, state }, bytes) => {
    bytes.set(socketAddress(address), layout.Address);
    row.setUint32(layout.InterfaceIndex, index, true);
    bytes.set(mac, layout.PhysicalAddress);
    row.setUint32(layout.PhysicalAddressLength, mac.length, true);
    row.setUint32(layout.State, state, true);
  });
}

/** Lays out the row that GetBestRoute2 fills; a next hop of none is the unspecified address. */
export function buildRoute({ index, nextHop, metric }: RouteRow): Uint8Array<ArrayBuffer> {
  const layout = LAYOUT.MIB_IPFORWARD_ROW2;
  const bytes = new Uint8Array(layout.size);
  const row = new DataView(bytes.buffer);
  row.setUint32(layout.InterfaceIndex, index, true);
  row.setUint32(layout.Metric, metric, true);
  bytes.set(socketAddress(nextHop ?? new Uint8Array(4)), layout.NextHop);
  return bytes;
}

/** Lays out what GetIpForwardTable2 gives. */
export function buildRouteTable(rows: readonly TableRoute[]): Uint8Array {
  const layout = LAYOUT.MIB_IPFORWARD_ROW2;
  return buildTable(rows, layout.size, (_row, route, bytes) => {
    bytes.set(buildRoute(route));
    bytes.set(socketAddress(route.destination), layout["DestinationPrefix.Prefix"]);
    bytes[layout["DestinationPrefix.PrefixLength"]] = route.prefix;
  });
}

/** A SOCKADDR of a family that is not IP. */
export function foreignAddress(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LAYOUT.SOCKADDR_INET.size);
  bytes[0] = AF.INET + 10;
  return bytes;
}
