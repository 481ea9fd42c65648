/* Prints sizes and offsets of the structures that watch/_windows_tables.ts reads, as mingw's headers have them. */
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2ipdef.h>
#include <windows.h>
#include <iphlpapi.h>
#include <netioapi.h>
#include <stddef.h>
#include <stdio.h>

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define AT(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(type, field))

int main(void) {
  SIZE(SOCKADDR_INET);
  AT(SOCKADDR_INET, Ipv4.sin_addr);
  AT(SOCKADDR_INET, Ipv6.sin6_addr);
  AT(SOCKADDR_INET, Ipv6.sin6_scope_id);
  SIZE(IP_ADAPTER_ADDRESSES_LH);
  AT(IP_ADAPTER_ADDRESSES_LH, Length);
  AT(IP_ADAPTER_ADDRESSES_LH, IfIndex);
  AT(IP_ADAPTER_ADDRESSES_LH, Next);
  AT(IP_ADAPTER_ADDRESSES_LH, FirstUnicastAddress);
  AT(IP_ADAPTER_ADDRESSES_LH, FirstDnsServerAddress);
  AT(IP_ADAPTER_ADDRESSES_LH, DnsSuffix);
  AT(IP_ADAPTER_ADDRESSES_LH, Description);
  AT(IP_ADAPTER_ADDRESSES_LH, FriendlyName);
  AT(IP_ADAPTER_ADDRESSES_LH, PhysicalAddress);
  AT(IP_ADAPTER_ADDRESSES_LH, PhysicalAddressLength);
  AT(IP_ADAPTER_ADDRESSES_LH, Mtu);
  AT(IP_ADAPTER_ADDRESSES_LH, IfType);
  AT(IP_ADAPTER_ADDRESSES_LH, OperStatus);
  AT(IP_ADAPTER_ADDRESSES_LH, Ipv6IfIndex);
  AT(IP_ADAPTER_ADDRESSES_LH, Ipv4Metric);
  AT(IP_ADAPTER_ADDRESSES_LH, Ipv6Metric);
  AT(IP_ADAPTER_ADDRESSES_LH, FirstDnsSuffix);
  SIZE(IP_ADAPTER_UNICAST_ADDRESS_LH);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, Next);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, Address.lpSockaddr);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, Address.iSockaddrLength);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, SuffixOrigin);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, DadState);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, ValidLifetime);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, PreferredLifetime);
  AT(IP_ADAPTER_UNICAST_ADDRESS_LH, OnLinkPrefixLength);
  SIZE(IP_ADAPTER_DNS_SERVER_ADDRESS_XP);
  AT(IP_ADAPTER_DNS_SERVER_ADDRESS_XP, Next);
  AT(IP_ADAPTER_DNS_SERVER_ADDRESS_XP, Address.lpSockaddr);
  AT(IP_ADAPTER_DNS_SERVER_ADDRESS_XP, Address.iSockaddrLength);
  SIZE(IP_ADAPTER_DNS_SUFFIX);
  AT(IP_ADAPTER_DNS_SUFFIX, Next);
  AT(IP_ADAPTER_DNS_SUFFIX, String);
  SIZE(MIB_IF_ROW2);
  AT(MIB_IF_ROW2, InterfaceIndex);
  AT(MIB_IF_ROW2, AdminStatus);
  AT(MIB_IF_ROW2, MediaConnectState);
  AT(MIB_IF_TABLE2, Table);
  SIZE(MIB_IPFORWARD_ROW2);
  AT(MIB_IPFORWARD_ROW2, InterfaceIndex);
  AT(MIB_IPFORWARD_ROW2, DestinationPrefix.Prefix);
  AT(MIB_IPFORWARD_ROW2, DestinationPrefix.PrefixLength);
  AT(MIB_IPFORWARD_ROW2, NextHop);
  AT(MIB_IPFORWARD_ROW2, Metric);
  AT(MIB_IPFORWARD_TABLE2, Table);
  SIZE(MIB_IPNET_ROW2);
  AT(MIB_IPNET_ROW2, Address);
  AT(MIB_IPNET_ROW2, InterfaceIndex);
  AT(MIB_IPNET_ROW2, PhysicalAddress);
  AT(MIB_IPNET_ROW2, PhysicalAddressLength);
  AT(MIB_IPNET_ROW2, State);
  AT(MIB_IPNET_TABLE2, Table);
  return 0;
}
