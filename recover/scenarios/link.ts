/** Failures of the link and of routes. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of the link and of routes. */
export const link: readonly ScenarioText[] = [
  {
    id: "no-default-route",
    title: "The machine is offline: it has no default route",
    symptom:
      'Connecting fails within about 10 ms: "Network is unreachable", ENETUNREACH (os error 101 on Linux, 51 on ' +
      'macOS, 10051 on Windows). fetch says only "fetch failed" and hides the number in its cause. Names fail with ' +
      '"Temporary failure in name resolution".',
    cause:
      "The interface is gone, or it has an address but no gateway yet: DHCP or router advertisements are not through.",
    detection: "The code says it, and the network has no default route and no global address.",
    remedy:
      "Do not spend attempts while offline. Give retry() a network: it waits, does not count, and tries again at the " +
      "moment the network is back.",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Spends no attempt while offline, and tries again as soon as the network is back.
async function load(url: string): Promise<string> {
  await using network = await watchNetwork();
  return await retry({ network, idempotent: true }).execute(async ({ signal }) =>
    await (await fetch(url, { signal })).text()
  );
}`,
    searchTerms: [
      "ENETUNREACH",
      "NetworkUnreachable",
      "Network is unreachable",
      "offline",
      "no default route",
    ],
    proof: "provoked",
  },
  {
    id: "link-down",
    title: "The own link went down",
    symptom:
      "New connections fail with ENETUNREACH at once. Open connections show no error at all: reads just hang. After the " +
      "link came back, data of an open connection flowed again about half a second later.",
    cause: "Cable pulled, Wi-Fi left, flight mode, interface switched off.",
    detection: "The event offline of the network, or interfacechange with running false.",
    remedy:
      "Keep the connection for a few seconds, the same address may come back; when it does not, dial() a new one. " +
      "A retry() with a network does the waiting.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Gives a connection some seconds after the link went, then closes it: a new one has to be made.
async function guard(connection: Deno.Conn, patience = 5000): Promise<void> {
  await using network = await watchNetwork();
  for await (const event of network.events) {
    if (event.type !== "offline") continue;
    const signal = AbortSignal.timeout(patience);
    const back = await network.online({ signal }).then(() => true, () => false);
    if (!back) return connection.close();
  }
}`,
    searchTerms: ["link down", "ENETDOWN", "Network is down", "cable unplugged", "flight mode"],
    proof: "provoked",
  },
  {
    id: "no-carrier",
    title: "The interface is up, but nothing is at the other end",
    symptom:
      "There is an address and a route, yet connecting hangs and ends with EHOSTUNREACH after about 3 s, or with " +
      "ETIMEDOUT.",
    cause: "The switch or access point is off: the interface is enabled and has no carrier.",
    detection: "The interface is up and not running. The presence of an address proves nothing.",
    remedy:
      "Treat it as offline: a watcher does, so retry() and ready() with that network wait for the carrier.",
    code: `import { ready } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Whether a link with carrier, address and route is there within half a minute.
async function linkIsThere(): Promise<boolean> {
  await using network = await watchNetwork();
  const report = await ready(network, { limit: 30_000 });
  return report.ready;
}`,
    searchTerms: ["no carrier", "NO-CARRIER", "carrier lost", "EHOSTUNREACH"],
    proof: "provoked",
  },
  {
    id: "gateway-silent",
    title: "The gateway, or a host on the same link, does not answer",
    symptom:
      'Connecting fails after about 3 s with "No route to host", EHOSTUNREACH (os error 113 on Linux, 65 on macOS, ' +
      "10065 on Windows), as a plain Error without a class of its own. Sending UDP reports success.",
    cause:
      "Nobody answers the question for the hardware address (ARP, or neighbour discovery in IPv6). Typical for the first " +
      "seconds after a switch of network, when all addresses are already right.",
    detection: "The neighbour entry of the gateway is incomplete or failed.",
    remedy:
      "Wait until the gateway answers before spending attempts after a switch: readyGate() in retry(), or ready().",
    code: `import { readyGate, retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// After a switch of network: no attempt before the gateway answers.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  await using network = await watchNetwork();
  const policy = retry({ network, operation: "connect", ready: readyGate(network) });
  return await policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: ["EHOSTUNREACH", "No route to host", "ARP", "neighbour failed", "gateway does not answer"],
    proof: "provoked",
  },
  {
    id: "neighbour-stale",
    title: "The address moved to another machine, and ours still talks to the old one",
    symptom:
      "Open and new connections to one address hang, although link and route are fine; it lasts 15 s to a minute.",
    cause:
      "A fail-over gave the address to another network card. The entry with the old hardware address stayed in use for " +
      "more than 8 s after that.",
    detection: "No progress with one host while others on the same link answer.",
    remedy:
      "The machine that takes over must announce itself (gratuitous ARP, unsolicited neighbour advertisement). A client " +
      "needs a time limit per attempt and patience: retry() around timeout().",
    code: `import { compose, exponential, retry, timeout } from "@holdfast/net/recover";

// A minute in all, 3 s for each attempt: longer than a stale entry lives.
const policy = compose(
  timeout(60_000),
  retry({ operation: "connect", maxAttempts: 20, backoff: exponential({ max: 5000 }) }),
  timeout(3000),
);

function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: [
      "stale neighbour",
      "stale ARP",
      "gratuitous ARP",
      "failover",
      "fail-over",
      "VRRP",
      "keepalived",
    ],
    proof: "provoked",
  },
  {
    id: "route-prohibited",
    title: "A route forbids the destination",
    symptom:
      "Connecting to a valid address fails at once: EACCES (PermissionDenied) for a prohibit route, EINVAL as a TypeError " +
      'for a blackhole route, EHOSTUNREACH for an unreachable route. It looks like a bug in the arguments ("Invalid ' +
      'argument") and is none. Sending UDP fails the same way.',
    cause: "The kill switch of a VPN, or policy routing.",
    detection: 'The same call works for other addresses; "ip route get ADDRESS" names the route.',
    remedy:
      "Retrying is of no use until the routes change. classify() says so (retry after-change), and retry() with a network " +
      "waits for that.",
    code: `import { classify } from "@holdfast/net/recover";

async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  try {
    return await Deno.connect({ hostname, port });
  } catch (error) {
    const { scenario, retry, hint } = classify(error, { operation: "connect" });
    // "after-change": a route or a VPN forbids it, and only a change of the network helps.
    if (retry === "after-change") console.error(scenario, hint);
    throw error;
  }
}`,
    searchTerms: ["EACCES", "prohibit", "blackhole", "Invalid argument", "EINVAL", "kill switch", "VPN"],
    proof: "provoked",
  },
  {
    id: "route-moved",
    title: "The default route moved to another interface",
    symptom:
      "Open connections fall silent or are reset, while new ones work. It happens when a VPN connects or goes, or when " +
      "Wi-Fi hands over to mobile.",
    cause:
      "Old sockets keep the address of the old interface, and their packets leave by the new one, where they are dropped.",
    detection:
      "The watcher's defaultinterfacechange, and a socket whose local address is not the one that a new connection gets.",
    remedy:
      "Make before break: on a settled change with major required or advised, open the new connection first, move over, " +
      "then close the old one.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Calls renew() after a change that the open connections do not survive, or should not stay on.
async function follow(renew: (reasons: readonly string[]) => Promise<void>): Promise<void> {
  await using network = await watchNetwork();
  for await (const change of network) {
    if (change.major !== "none") await renew(change.reasons);
  }
}`,
    searchTerms: ["VPN up", "VPN down", "default route changed", "Wi-Fi to mobile", "handover"],
    proof: "provoked",
  },
  {
    id: "reverse-path-filter",
    title: "Replies are dropped on their way back",
    symptom:
      "Connecting ends with ETIMEDOUT and nothing says why. It works over one interface and not over the other.",
    cause:
      "The way out and the way back differ. The kernel's reverse-path filter, or a firewall that saw only one direction, " +
      "drops the replies.",
    detection: "The counter IPReversePathFilter of Linux grows (nstat -az TcpExtIPReversePathFilter).",
    remedy:
      "Bind the address of the right interface, or mend the routes. The program can only bound the attempt: timeout() or " +
      "the time limit of dial().",
    code: `import { timeout } from "@holdfast/net/recover";

// Nobody tells why: 5 s are enough to know.
function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return timeout(5000).execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: ["rp_filter", "reverse path", "asymmetric route", "IPReversePathFilter"],
    proof: "provoked",
  },
];
