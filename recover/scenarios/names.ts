/** Failures of names. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of names. */
export const names: readonly ScenarioText[] = [
  {
    id: "name-unknown",
    title: "The name does not exist",
    symptom:
      '"Name or service not known" on Linux, "nodename nor servname provided, or not known" on macOS, "No such host is ' +
      'known" (os error 11001) on Windows; ENOTFOUND from node:dns, NotFound from Deno.resolveDns. Within milliseconds.',
    cause:
      "A typing mistake, a name that only the company's own resolver knows, or one that was removed (NXDOMAIN).",
    detection: "node:dns.lookup says ENOTFOUND and not EAI_AGAIN. Deno.resolveDns says NotFound for both.",
    remedy:
      "Do not retry, but once after the network has changed: another resolver may know it. retry() with a network does that.",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Asks again when the network has changed, a VPN for instance has come up; for a minute at the longest.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  await using network = await watchNetwork();
  const policy = retry({ network, operation: "connect", deadline: 60_000 });
  return await policy.execute(({ signal }) => Deno.connect({ hostname, port, signal }));
}`,
    searchTerms: [
      "ENOTFOUND",
      "NXDOMAIN",
      "Name or service not known",
      "nodename nor servname provided",
      "No such host is known",
      "getaddrinfo",
      "dns error",
      "failed to lookup address",
      "EAI_NONAME",
    ],
    proof: "provoked",
  },
  {
    id: "resolver-failure",
    title: "The name server has a problem",
    symptom:
      '"Temporary failure in name resolution", EAI_AGAIN from node:dns.lookup, os error 11002 on Windows; Deno.resolveDns ' +
      "says NotFound all the same.",
    cause:
      "The name server failed or refused (SERVFAIL, REFUSED): its own upstream is down, or the zone is broken.",
    detection: "EAI_AGAIN, or that text, at once; other names may work.",
    remedy: "It passes: retry() with back-off, while dial() goes on with the last address that it knew.",
    code: `import { dial, retry } from "@holdfast/net/recover";

// With growing pauses; addresses that worked before in this network are used meanwhile.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return (await dial({ hostname, port }, { retry: retry({ operation: "connect" }) })).conn;
}`,
    searchTerms: [
      "EAI_AGAIN",
      "SERVFAIL",
      "REFUSED",
      "Temporary failure in name resolution",
      "ESERVFAIL",
      "EREFUSED",
      "TRY_AGAIN",
    ],
    proof: "provoked",
  },
  {
    id: "name-without-address",
    title: "The name exists and has no address of that kind",
    symptom: '"No address associated with hostname"; ENODATA from node:dns, NotFound from Deno.resolveDns.',
    cause: "It has a mail or text record only, or IPv6 was asked for and it has IPv4 only.",
    detection: "The other family gives an answer.",
    remedy: "Ask for both families, as dial() does. Otherwise it stays so until somebody adds a record.",
    code: `import { dial } from "@holdfast/net/recover";

// Asks for both families, and takes what there is.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  const { conn, family } = await dial({ hostname, port });
  console.log(\`Connected by IPv\${family}\`);
  return conn;
}`,
    searchTerms: ["No address associated with hostname", "ENODATA", "EAI_NODATA", "no data"],
    proof: "provoked",
  },
  {
    id: "resolver-silent",
    title: "The name server does not answer",
    symptom:
      "Everything by name hangs and then fails: Deno.connect and fetch after 10 s, Deno.resolveDns after 15 s (TimedOut), " +
      "node:dns.resolve4 after 8 s (ETIMEOUT).",
    cause: "The name server is down, or its packets are dropped.",
    detection: "Connecting by address works at once.",
    remedy:
      "dial() gives the resolver a limit of its own, and uses the last addresses that it knew meanwhile.",
    code: `import { dial } from "@holdfast/net/recover";

// 2 s for the name, then the addresses that worked before.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return (await dial({ hostname, port }, { resolveTimeout: 2000 })).conn;
}`,
    searchTerms: [
      "ETIMEOUT",
      "DNS timeout",
      "request timed out",
      "queryA ETIMEOUT",
      "resolver timeout",
      "slow DNS",
    ],
    proof: "provoked",
  },
  {
    id: "aaaa-lost",
    title: "Only the question for IPv6 addresses gets no answer",
    symptom:
      "Connecting by name takes 5, 10 or 15 s each time and then works: 15.0 s by Deno.connect here, with the IPv4 answer at once.",
    cause: "A router or name server drops AAAA queries, and the system waits for both answers.",
    detection: 'Deno.resolveDns(name, "A") takes milliseconds, the same with "AAAA" never ends.',
    remedy: "dial() asks for both at the same time and starts 50 ms after the first answer.",
    code: `import { dial } from "@holdfast/net/recover";

// Starts 50 ms after the first of the two answers.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  return (await dial({ hostname, port }, { resolutionDelay: 50 })).conn;
}`,
    searchTerms: ["AAAA", "DNS takes 5 seconds", "connect takes 15 seconds", "IPv6 DNS", "slow DNS"],
    proof: "provoked",
  },
  {
    id: "resolver-unreachable",
    title: "The name server cannot be reached",
    symptom:
      'Connecting by name fails within milliseconds with "Temporary failure in name resolution", while Deno.resolveDns ' +
      'waits 15 s or says "Network is unreachable (os error 101)" or "no nameservers found in config".',
    cause: "There is no route to it, its port is closed, or /etc/resolv.conf names none.",
    detection: "Look at /etc/resolv.conf, and ping what is named there.",
    remedy:
      "Offline counts as offline: retry() with a network waits for it. Otherwise the configuration must be mended.",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Waits for the network, and with it for its resolver.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  await using network = await watchNetwork();
  return await retry({ network, operation: "connect" }).execute(({ signal }) =>
    Deno.connect({ hostname, port, signal })
  );
}`,
    searchTerms: [
      "no nameservers found in config",
      "resolv.conf",
      "Temporary failure in name resolution",
      "io error: Network is unreachable",
      "ECONNREFUSED 53",
    ],
    proof: "provoked",
  },
  {
    id: "name-sinkholed",
    title: "The name leads to a wrong address on purpose",
    symptom:
      "A public name leads to 0.0.0.0, 127.0.0.1 or a private address: ECONNREFUSED, or a local service answers.",
    cause:
      "An ad blocker, a filter, a captive portal or malware protection answers in place of the name server.",
    detection: "The answer lies in 0.0.0.0/8, 127.0.0.0/8 or a private range, and the name is a public one.",
    remedy:
      "Look at the resolver's filter. dial() refuses addresses of this machine for public names; a program that needs the true " +
      "answer asks by HTTPS.",
    code: `// Refuses what cannot be the address of a public service.
async function publicAddress(name: string): Promise<string> {
  const addresses = await Deno.resolveDns(name, "A");
  const isPublic = (address: string): boolean =>
    !/^(?:0|10|127|169\\.254|172\\.(?:1[6-9]|2\\d|3[01])|192\\.168)\\./.test(address);
  const found = addresses.find(isPublic);
  if (found === undefined) throw new Error(\`Cannot use \${name}: it leads to \${addresses.join(", ")}\`);
  return found;
}`,
    searchTerms: ["0.0.0.0", "sinkhole", "Pi-hole", "ad blocker", "DNS hijack", "wrong address"],
    proof: "provoked",
  },
  {
    id: "address-cached",
    title: "The program sticks to an old address",
    symptom:
      "A service moved. This program gets ECONNREFUSED or ETIMEDOUT until it is restarted, others are fine.",
    cause: "A pool or a variable keeps the address that the name had in the past.",
    detection: "A new look-up gives another address than the one that fails.",
    remedy:
      "Look the name up for each attempt after a failure, and after each change of network: dial() inside of retry() does.",
    code: `import { dial, retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Asks for the name again at each attempt.
async function connect(hostname: string, port: number): Promise<Deno.TcpConn> {
  await using network = await watchNetwork();
  return (await dial({ hostname, port }, { network, retry: retry({ network, operation: "connect" }) })).conn;
}`,
    searchTerms: ["works after restart", "stale DNS", "DNS cache", "old IP"],
    proof: "documented",
  },
  {
    id: "resolver-of-old-network",
    title: "The name server is still that of the network before",
    symptom: "For some seconds after a change of network names fail, while addresses already work.",
    cause:
      "The new address comes first, the new resolver later: questions go to a server that is out of reach.",
    detection: "The watcher's dnschange comes after its addressadd.",
    remedy: "Let ready() wait for it before the first attempt, and retry() for the rest.",
    code: `import { readyGate, retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// First the network, then its resolver, then the question.
async function load(url: string): Promise<string> {
  await using network = await watchNetwork();
  const policy = retry({ network, idempotent: true, ready: readyGate(network) });
  return await policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["dnschange", "DNS after network change", "names fail after switch", "resolv.conf"],
    proof: "documented",
  },
];
