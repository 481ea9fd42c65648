/** Links, addresses, routes, names: what each API gave. */

import {
  NO_ADDRESS,
  NO_CARRIER,
  NO_V6,
  OFF,
  ON,
  SWITCHED_OFF,
  TENTATIVE,
  WITH_CONFLICT,
} from "./_failure_networks.ts";
import {
  CONNECT,
  DEADLINE,
  denoError,
  type FailureShape,
  fetchConnect,
  lookupError,
  NO_HOST,
  NO_RECORDS,
  nodeError,
  NOT_AVAILABLE,
  REFUSED,
  RESET,
  row,
  socketFailed,
  TIMED_OUT,
  UNREACHABLE,
} from "./_failure_shapes.ts";

/** The rows, by the number of the scenario. */
export const NETWORK_ROWS: Readonly<Record<string, readonly FailureShape[]>> = {
  F01: [
    row("Deno.connect", UNREACHABLE, CONNECT, "no-default-route offline after-change no"),
    row(
      "node:net",
      nodeError("connect ENETUNREACH 10.9.2.2:8080", -101),
      {},
      "no-default-route offline after-change no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: Network is unreachable (os error 101)"),
      {},
      "no-default-route offline after-change no",
    ),
    row(
      "WebSocket, state known",
      socketFailed("tcp connect error"),
      { network: OFF },
      "no-default-route offline after-change no",
    ),
    row(
      "Deno.DatagramConn.send",
      UNREACHABLE,
      { operation: "send" },
      "no-default-route offline after-change no",
    ),
    row(
      "node:dgram, state known",
      nodeError("send UNKNOWN 10.9.2.2:8080", -4094),
      { network: OFF },
      "no-default-route offline after-change no",
    ),
    row("own deadline, state known", DEADLINE, {
      operation: "connect",
      network: OFF,
    }, "no-default-route offline after-change no"),
    row("Deno.connect, a route of the other family", UNREACHABLE, {
      operation: "connect",
      network: NO_ADDRESS,
    }, "no-default-route offline after-change no"),
  ],
  F02: [
    row(
      "Deno.connect, interface off",
      UNREACHABLE,
      { operation: "connect", network: SWITCHED_OFF },
      "link-down offline after-change no",
    ),
    row(
      "ENETDOWN has no class and no code",
      denoError("Error", "Network is down (os error 100)"),
      CONNECT,
      "link-down offline after-change no",
    ),
  ],
  F03: [
    row(
      "Deno.connect",
      TIMED_OUT,
      { operation: "connect", network: NO_CARRIER },
      "no-carrier offline after-change no",
    ),
    row(
      "Deno.connect",
      NO_HOST,
      { operation: "connect", network: NO_CARRIER },
      "no-carrier offline after-change no",
    ),
  ],
  F04: [UNREACHABLE, NO_HOST, NOT_AVAILABLE, TIMED_OUT].map((error) =>
    row(
      "Deno.connect, IPv6",
      error,
      { operation: "connect", remoteAddress: "fd09:2::2", network: NO_V6 },
      "ipv6-lost-on-flap unreachable after-change no",
    )
  ),
  F05: [
    row("own deadline at a read", DEADLINE, {
      operation: "read",
      localAddress: "10.9.1.2",
      network: { ...ON, interfaces: [{ name: "vc", addresses: [{ address: "10.9.1.77", prefix: 24 }] }] },
    }, "address-gone address-gone now maybe"),
    row("reset", RESET, {
      operation: "read",
      localAddress: "10.9.1.99",
      network: ON,
    }, "address-gone address-gone now maybe"),
    row("own deadline at a read, no network", DEADLINE, {
      operation: "read",
      localAddress: "10.9.1.99",
      network: OFF,
    }, "address-gone address-gone after-change maybe"),
  ],
  F06: [
    row("Deno.listen", NOT_AVAILABLE, {
      operation: "listen",
      localAddress: "fd09:1::33",
      network: TENTATIVE,
    }, "address-tentative address-gone after-change no"),
    row(
      "node:net",
      nodeError("listen EINVAL: invalid argument fd09:1::33", -22),
      { network: TENTATIVE },
      "address-tentative address-gone after-change no",
    ),
  ],
  F07: [
    row("Deno.listen", NOT_AVAILABLE, {
      operation: "listen",
      localAddress: "fd09:1::33",
      network: WITH_CONFLICT,
    }, "address-duplicate address-gone after-change no"),
  ],
  F08: [
    row("Deno.connect", NO_HOST, CONNECT, "gateway-silent unreachable later no"),
    row("Deno.connect, on the link", NO_HOST, {
      operation: "connect",
      remoteAddress: "10.9.1.99",
      network: ON,
      elapsed: 20,
    }, "gateway-silent unreachable later no"),
    row(
      "node:net, 3 s",
      nodeError("connect EHOSTUNREACH 10.9.1.99:8080", -113),
      { elapsed: 3050 },
      "gateway-silent unreachable later no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: No route to host (os error 113)"),
      {},
      "gateway-silent unreachable later no",
    ),
  ],
  F10: [
    row(
      "prohibit",
      denoError("PermissionDenied", "Permission denied (os error 13)", "EACCES"),
      CONNECT,
      "route-prohibited unreachable after-change no",
    ),
    row(
      "prohibit, node:net",
      nodeError("connect EACCES 10.77.0.1:8080", -13),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row(
      "prohibit, fetch",
      fetchConnect("tcp connect error: Permission denied (os error 13)"),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row("prohibit, send", denoError("PermissionDenied", "Permission denied (os error 13)", "EACCES"), {
      operation: "send",
    }, "route-prohibited unreachable after-change no"),
    row(
      "blackhole",
      denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"),
      CONNECT,
      "route-prohibited unreachable after-change no",
    ),
    row(
      "blackhole, fetch",
      fetchConnect("tcp connect error: Invalid argument (os error 22)"),
      {},
      "route-prohibited unreachable after-change no",
    ),
    row("blackhole, send", denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"), {
      operation: "send",
    }, "route-prohibited unreachable after-change no"),
    row("throw", UNREACHABLE, CONNECT, "no-default-route offline after-change no"),
  ],
  F14: [
    row("Deno.connect", denoError("TypeError", "Invalid argument (os error 22)", "EINVAL"), {
      operation: "connect",
      remoteAddress: "fe80::1",
    }, "link-local-without-zone unreachable never no"),
    row(
      "node:net",
      nodeError("connect EINVAL fe80::1:8080", -22),
      {},
      "link-local-without-zone unreachable never no",
    ),
    row(
      "fetch",
      fetchConnect("tcp connect error: Invalid argument (os error 22)", "http://[fe80::1]:8080/"),
      {},
      "link-local-without-zone unreachable never no",
    ),
  ],
  F15: [
    row(
      "joinMulticastV4",
      denoError("Error", "No such device (os error 19)"),
      { operation: "join" },
      "multicast-without-interface unreachable after-change no",
    ),
    row(
      "joinMulticastV4 without any network",
      denoError("Error", "No such device (os error 19)"),
      { operation: "join", network: NO_ADDRESS },
      "multicast-without-interface offline after-change no",
    ),
    row(
      "node:dgram",
      nodeError("addMembership EINVAL", -22),
      {},
      "multicast-without-interface unreachable after-change no",
    ),
  ],
  F53: [
    row("Deno.connect", lookupError("Name or service not known"), {}, "name-unknown dns after-change no"),
    row("lookup", nodeError("getaddrinfo ENOTFOUND nx.test", -3008), {}, "name-unknown dns after-change no"),
    row(
      "fetch",
      fetchConnect("dns error: failed to lookup address information: Name or service not known"),
      {},
      "name-unknown dns after-change no",
    ),
    row("resolveDns hides it", NO_RECORDS, {}, "name-unknown dns later no"),
    row("resolve4 hides it", nodeError("queryA ENOTFOUND nx.test", -3007), {}, "name-unknown dns later no"),
    row("WebSocket hides it", socketFailed("dns error"), {}, "name-unknown dns later no"),
  ],
  F54: [
    row(
      "Deno.connect",
      lookupError("Temporary failure in name resolution"),
      { elapsed: 3 },
      "resolver-failure dns later no",
    ),
    row(
      "lookup",
      nodeError("getaddrinfo EAI_AGAIN servfail.test", -3001),
      { elapsed: 4 },
      "resolver-failure dns later no",
    ),
    row(
      "fetch",
      fetchConnect("dns error: failed to lookup address information: Temporary failure in name resolution"),
      {},
      "resolver-failure dns later no",
    ),
  ],
  F55: [
    row(
      "Deno.connect",
      lookupError("No address associated with hostname"),
      {},
      "name-without-address dns after-change no",
    ),
    row(
      "lookup",
      nodeError("getaddrinfo ENOTFOUND empty.test", -3007),
      {},
      "name-without-address dns after-change no",
    ),
  ],
  F56: [
    row(
      "Deno.connect, 10 s",
      lookupError("Temporary failure in name resolution"),
      { elapsed: 10_009 },
      "resolver-silent dns later no",
    ),
    row(
      "lookup, 10 s",
      nodeError("getaddrinfo EAI_AGAIN drop.test", -3001),
      { elapsed: 10_009 },
      "resolver-silent dns later no",
    ),
    row(
      "Deno.resolveDns",
      denoError("TimedOut", "proto error: request timed out"),
      {},
      "resolver-silent dns later no",
    ),
    row("resolve4", nodeError("queryA ETIMEOUT drop.test"), {}, "resolver-silent dns later no"),
    row("WebSocket, 10 s", socketFailed("dns error"), { elapsed: 10_009 }, "resolver-silent dns later no"),
    row("own deadline", DEADLINE, { operation: "resolve" }, "resolver-silent dns later no"),
  ],
  F58: [
    row(
      "Deno.resolveDns, no route",
      denoError("Error", "proto error: io error: Network is unreachable (os error 101)"),
      {},
      "resolver-unreachable offline after-change no",
    ),
    row(
      "Deno.connect, no route",
      lookupError("Temporary failure in name resolution"),
      { network: OFF },
      "resolver-unreachable offline after-change no",
    ),
    row("resolve4", nodeError("queryA UNKNOWN nx.test", -4094), {}, "resolver-unreachable dns later no"),
    row(
      "Deno.resolveDns, no server",
      denoError("Error", "proto error: io error: no nameservers found in config"),
      {},
      "resolver-unreachable dns later no",
    ),
  ],
  F59: [
    row("Deno.connect", REFUSED, { remoteAddress: "0.0.0.0" }, "name-sinkholed refused after-change no"),
  ],
};
