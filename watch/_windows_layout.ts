/**
 * How the structures of the Windows IP Helper lie in memory: iptypes.h, netioapi.h, ws2ipdef.h, the same on x64 and arm64.
 *
 * `tests/windows/offsets.c` prints these numbers from the headers of mingw-w64, and a test compares.
 */

/** Sizes and offsets in bytes, by the names that the headers have. */
export const LAYOUT = {
  SOCKADDR_INET: { size: 28, "Ipv4.sin_addr": 4, "Ipv6.sin6_addr": 8, "Ipv6.sin6_scope_id": 24 },
  IP_ADAPTER_ADDRESSES_LH: {
    size: 448,
    Length: 0,
    IfIndex: 4,
    Next: 8,
    FirstUnicastAddress: 24,
    FirstDnsServerAddress: 48,
    DnsSuffix: 56,
    Description: 64,
    FriendlyName: 72,
    PhysicalAddress: 80,
    PhysicalAddressLength: 88,
    Mtu: 96,
    IfType: 100,
    OperStatus: 104,
    Ipv6IfIndex: 108,
    Ipv4Metric: 216,
    Ipv6Metric: 220,
    FirstDnsSuffix: 440,
  },
  IP_ADAPTER_UNICAST_ADDRESS_LH: {
    size: 64,
    Next: 8,
    "Address.lpSockaddr": 16,
    "Address.iSockaddrLength": 24,
    SuffixOrigin: 36,
    DadState: 40,
    ValidLifetime: 44,
    PreferredLifetime: 48,
    OnLinkPrefixLength: 56,
  },
  IP_ADAPTER_DNS_SERVER_ADDRESS_XP: {
    size: 32,
    Next: 8,
    "Address.lpSockaddr": 16,
    "Address.iSockaddrLength": 24,
  },
  IP_ADAPTER_DNS_SUFFIX: { size: 520, Next: 0, String: 8 },
  MIB_IF_ROW2: { size: 1352, InterfaceIndex: 8, AdminStatus: 1160, MediaConnectState: 1164 },
  MIB_IF_TABLE2: { Table: 8 },
  MIB_IPFORWARD_ROW2: {
    size: 104,
    InterfaceIndex: 8,
    "DestinationPrefix.Prefix": 12,
    "DestinationPrefix.PrefixLength": 40,
    NextHop: 44,
    Metric: 84,
  },
  MIB_IPFORWARD_TABLE2: { Table: 8 },
  MIB_IPNET_ROW2: {
    size: 88,
    Address: 0,
    InterfaceIndex: 28,
    PhysicalAddress: 40,
    PhysicalAddressLength: 72,
    State: 76,
  },
  MIB_IPNET_TABLE2: { Table: 8 },
} as const;

/** Address families of Windows (ws2def.h). */
export const AF = { UNSPEC: 0, INET: 2, INET6: 23 } as const;
