/** Failures of the machine's own addresses. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of the machine's own addresses. */
export const address: readonly ScenarioText[] = [
  {
    id: "ipv6-lost-on-flap",
    title: "The link flickered, and IPv6 is gone while IPv4 stays",
    symptom:
      "After a link went down and up, IPv6 connections fail with EHOSTUNREACH after 3 s or with EADDRNOTAVAIL, IPv4 with " +
      "ENETUNREACH until its default route is back.",
    cause:
      "Linux drops a static IPv6 address and both default routes when the link goes down; the IPv4 address stays.",
    detection: "Compare the addresses before and after: addressremove without a later addressadd.",
    remedy:
      "Wait until the network is configured again, and take the family that is usable: ready() and dial() do.",
    code: `import { ready } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Waits for IPv6, and tells step by step what is missing when it does not come back.
async function whenIPv6(): Promise<boolean> {
  await using network = await watchNetwork();
  const report = await ready(network, { family: 6, limit: 10_000 });
  if (!report.ready) console.warn(network.state.families, report.steps);
  return report.ready;
}`,
    searchTerms: ["IPv6 lost", "IPv6 address gone after link flap", "link flap", "EADDRNOTAVAIL"],
    proof: "provoked",
  },
  {
    id: "address-gone",
    title: "The local address is gone under an open connection",
    symptom:
      "Nothing at all on Linux: writes succeed, reads hang, the socket stays ESTABLISHED. Windows and macOS usually abort " +
      "sooner, with ECONNABORTED (os error 10053) or ECONNRESET.",
    cause:
      "Another network, another DHCP lease, a VPN that went: packets from the old address have no way back.",
    detection:
      "The connection's local address is in none of the machine's interfaces any more. That is exact, and known at once.",
    remedy:
      "Drop the connection and dial() a new one. heartbeat() with a network watches for it, so that nobody waits for a " +
      "time-out.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Closes a connection at the moment its local address goes away.
async function guard(connection: Deno.TcpConn): Promise<void> {
  await using network = await watchNetwork();
  const { hostname } = connection.localAddr;
  for await (const event of network.events) {
    if (event.type === "addressremove" && event.address === hostname) return connection.close();
  }
}`,
    searchTerms: [
      "ECONNABORTED",
      "address changed",
      "IP changed",
      "local address",
      "software caused connection abort",
    ],
    proof: "provoked",
  },
  {
    id: "address-tentative",
    title: "The address is there, but cannot be used yet",
    symptom:
      'Listening on an address that has just appeared fails for 1 to 2 s with EADDRNOTAVAIL, "Cannot assign requested ' +
      'address" (os error 99); node:net calls it EINVAL.',
    cause:
      "IPv6 checks first whether somebody else has the address (duplicate address detection); until then it is tentative.",
    detection: "The address is listed with the flag tentative, or binding it fails while it is listed.",
    remedy: "Wait for ready() before listening on it, instead of failing at the start.",
    code: `import { constant, retry } from "@holdfast/net/recover";

// Duplicate address detection takes a second or two.
function listen(hostname: string, port: number): Promise<Deno.TcpListener> {
  const policy = retry({ operation: "listen", maxAttempts: 25, backoff: constant(200) });
  return policy.execute(() => Deno.listen({ hostname, port }));
}`,
    searchTerms: [
      "tentative",
      "EADDRNOTAVAIL",
      "Cannot assign requested address",
      "duplicate address detection",
      "DAD",
    ],
    proof: "provoked",
  },
  {
    id: "address-duplicate",
    title: "Somebody else has the same address",
    symptom:
      "An IPv6 address never becomes usable: binding it fails for ever with EADDRNOTAVAIL. With IPv4 connections break or " +
      "reach the wrong machine, now and then.",
    cause: "Two machines were given one address: cloned machines, two DHCP servers, an address set by hand.",
    detection: "The flag dadfailed, which a watcher tells as addressconflict.",
    remedy: "Waiting does not help, and a loop even less. Use another address, and tell a person.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Only a person, or another address, can help.
async function tell(): Promise<void> {
  await using network = await watchNetwork();
  for await (const event of network.events) {
    if (event.type === "addressconflict") console.error(\`\${event.address} on \${event.interface} is taken\`);
  }
}`,
    searchTerms: ["dadfailed", "duplicate address", "address conflict", "IP conflict"],
    proof: "provoked",
  },
  {
    id: "temporary-address-rotated",
    title: "The temporary IPv6 address was replaced by a new one",
    symptom: "A connection works for hours, then falls silent, on a network that never changed.",
    cause:
      "Privacy addresses of IPv6 (RFC 8981) live for a day or so. A connection that stays on one is cut off when the " +
      "address is removed.",
    detection: "addresschange with deprecated true comes first, addressremove follows hours later.",
    remedy:
      "Renew the connection in a quiet moment after the address became deprecated, and not when it is removed.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Renews at the first warning, hours before the address goes.
async function follow(connection: Deno.TcpConn, renew: () => Promise<void>): Promise<void> {
  await using network = await watchNetwork();
  for await (const event of network.events) {
    if (event.type !== "addresschange" || event.address !== connection.localAddr.hostname) continue;
    if (event.to.deprecated) return await renew();
  }
}`,
    searchTerms: ["temporary address", "privacy address", "privacy extensions", "deprecated address"],
    proof: "documented",
  },
  {
    id: "link-local-without-zone",
    title: "A link-local address without its zone",
    symptom: 'Connecting to fe80::... fails at once with "Invalid argument", EINVAL, as a TypeError.',
    cause: "Such an address exists on every link, and the system must be told which: fe80::1%eth0.",
    detection: "The address begins with fe80: and has no % in it.",
    remedy: "Write the zone: the name of the interface on Linux and macOS, its number on Windows.",
    code: `import { snapshot } from "@holdfast/net/watch";

// fe80::1 becomes fe80::1%eth0, or fe80::1%12 on Windows.
async function withZone(address: string): Promise<string> {
  if (!address.toLowerCase().startsWith("fe80:") || address.includes("%")) return address;
  const { defaultRoute, interfaces } = await snapshot();
  const route = defaultRoute.v6 ?? defaultRoute.v4;
  const found = interfaces.find(({ name }) => name === route?.interface);
  if (!found) throw new Error(\`Cannot connect to \${address}: no interface to do it on\`);
  return \`\${address}%\${Deno.build.os === "windows" ? found.index : found.name}\`;
}`,
    searchTerms: ["fe80", "link-local", "EINVAL", "Invalid argument", "zone", "scope id"],
    proof: "provoked",
  },
  {
    id: "multicast-without-interface",
    title: "Joining a multicast group while no interface is there",
    symptom: 'joinMulticastV4 fails with "No such device (os error 19)", as a plain Error without a code.',
    cause: "No route says which interface to join on: the network is not there yet, or has no address.",
    detection: "The number 19, and no usable address on any interface.",
    remedy:
      "Join when the network is there, and join again at each addressadd: a membership ends with its interface.",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Joins when the network is there. Needs --unstable-net.
async function join(socket: Deno.DatagramConn, group: string): Promise<Deno.MulticastV4Membership> {
  await using network = await watchNetwork();
  return await retry({ network, operation: "join" }).execute(() => socket.joinMulticastV4(group, "0.0.0.0"));
}`,
    searchTerms: ["No such device", "ENODEV", "joinMulticast", "multicast"],
    proof: "provoked",
  },
];
