/** What a failure is in its circumstances: what was being done, between which addresses, in which state of the network. */

import { parseIp } from "../internal/ip.ts";
import type { NetworkViewRoute, NetworkViewState } from "../internal/network_view.ts";
import { codeEntry, type Os } from "./_codes.ts";
import { isLinkLocalWithoutZone, isLoopbackText, isOnLink, isUnspecified } from "./_places.ts";
import { type VerdictName, verdictOf } from "./_verdicts.ts";
import type { FailureOperation, FailureSent } from "./failure.ts";

/** All that is known around an error. */
export interface Circumstances {
  /** What was being done. */
  readonly phase: FailureOperation | undefined;
  /** The system whose numbers and habits count. */
  readonly os: Os | undefined;
  /** The local address, without port; a path for Unix sockets. */
  readonly local: string | undefined;
  /** The other end's address, without port; a path for Unix sockets. */
  readonly remote: string | undefined;
  /** The network at that time. */
  readonly network: NetworkViewState | undefined;
  /** How many milliseconds it took to fail. */
  readonly elapsed: number | undefined;
  /** Whether anything was sent, where the caller knows. */
  readonly sent: FailureSent | undefined;
}

/** What an error showed of itself. */
export interface Clue {
  /** The code, where it showed one. */
  readonly code: string | null;
  /** The verdict, where it was clear without the circumstances. */
  readonly verdict?: VerdictName | undefined;
  /** It came through node's compatibility layer, which hides some codes. */
  readonly fromNode?: boolean;
}

/** What it was. */
export interface Decision {
  /** The verdict. */
  readonly verdict: VerdictName;
  /** The code, the true one where the runtime gave another. */
  readonly code: string | null;
}

/** Decides what a clue means in its circumstances. */
export function decide(clue: Clue, around: Circumstances): Decision {
  const code = trueCode(clue, around);
  const at = around.phase;
  const entry = code === null ? undefined : codeEntry(code);
  const plain = clue.verdict ?? (at && entry?.at?.[at]) ?? entry?.verdict ?? "unknown";
  const hidden = clue.fromNode === true && code === "EINVAL" && at === "connect" && around.os === "windows";
  const named = clue.verdict === undefined && code !== null ? byAddresses(code, around) : undefined;
  return { verdict: inNetwork(named ?? (hidden ? "winsock-unseen" : byTime(plain, around)), around), code };
}

/** node:net gives EINVAL for EADDRNOTAVAIL on every system, and for much else on Windows. */
function trueCode({ code, fromNode }: Clue, { phase, os, local, remote }: Circumstances): string | null {
  if (code !== "EINVAL" || fromNode !== true) return code;
  if (phase === "listen") return isLinkLocalWithoutZone(local) ? code : "EADDRNOTAVAIL";
  const hides = phase === "connect" && os !== "windows" && !isLinkLocalWithoutZone(remote);
  return hides ? "EADDRNOTAVAIL" : code;
}

/** What the addresses say of a code. */
function byAddresses(code: string, around: Circumstances): VerdictName | undefined {
  const { phase, os, local, remote, network } = around;
  const path = phase === "listen" ? local : remote;
  const isPath = path?.startsWith("/") === true;
  switch (code) {
    case "EINVAL":
      return isLinkLocalWithoutZone(phase === "listen" ? local : remote)
        ? "link-local-without-zone"
        : undefined;
    case "ECONNREFUSED":
      if (isPath) return "unix-socket-stale";
      return isUnspecified(remote) ? "name-sinkholed" : undefined;
    case "ENOENT":
      return isPath ? "unix-socket-stale" : undefined;
    case "EADDRINUSE":
      return isPath && phase === "listen" ? "unix-socket-stale" : undefined;
    case "EACCES":
      if (isPath) return "unix-socket-denied";
      // Windows' own firewall answers with it; a route that forbids the way does on Linux.
      return os === "windows" && phase !== "listen" ? "local-firewall" : undefined;
    case "EAGAIN":
      return phase === "connect" && !isPath && remote !== undefined ? "would-block" : undefined;
    case "ENOBUFS":
      return os === "windows" && phase === "connect" ? "ports-exhausted" : undefined;
    case "EADDRNOTAVAIL":
      if (phase === "listen") return unusable(local, network);
      if (isUnspecified(remote)) return "name-sinkholed";
      return familyLost(remote, network) ? "ipv6-lost-on-flap" : undefined;
    case "ETIMEDOUT":
      return phase === "connect" && familyLost(remote, network) ? "ipv6-lost-on-flap" : undefined;
    case "EHOSTUNREACH":
    case "EHOSTDOWN":
    case "ENETUNREACH":
      return unreachable(code, around);
    default:
      return undefined;
  }
}

/** How long Linux asks for a neighbour's hardware address before it gives up: three times a second, in milliseconds. */
const NEIGHBOUR_GIVES_UP = 2900;

function unreachable(code: string, around: Circumstances): VerdictName | undefined {
  const { phase, remote, network, elapsed } = around;
  if (phase === "resolve") return undefined;
  // Datagrams learn it from this machine's own routes only, and those of one target are not the whole network.
  if (phase === "send") {
    return code === "ENETUNREACH" && network?.online === true ? "send-fails-for-now" : undefined;
  }
  if (familyLost(remote, network)) return "ipv6-lost-on-flap";
  // With a way to the network of one's own it was somebody on the way who had none.
  if (code === "ENETUNREACH") return network?.online === true ? "firewall-rejects" : undefined;
  if (isOnLink(remote, network)) return "gateway-silent";
  return elapsed !== undefined && elapsed < NEIGHBOUR_GIVES_UP ? "firewall-rejects" : undefined;
}

/** An address that cannot be listened on: not there, not ready, or somebody else's. */
function unusable(local: string | undefined, network: NetworkViewState | undefined): VerdictName | undefined {
  const all = network?.interfaces.flatMap(({ addresses }) => addresses) ?? [];
  // A watcher's addresses tell more than a view has to.
  const found: { readonly address: string; readonly conflict?: boolean } | undefined = all.find((
    { address },
  ) => address === local);
  if (found === undefined) return undefined;
  return found.conflict === true ? "address-duplicate" : "address-tentative";
}

function familyLost(remote: string | undefined, network: NetworkViewState | undefined): boolean {
  if (remote === undefined || network === undefined || !network.online) return false;
  return parseIp(remote)?.length === 16 && !isLoopbackText(remote) && !network.families.includes(6);
}

/** From when on a resolver was silent and did not merely refuse: glibc asks again after 5 s. In milliseconds. */
const RESOLVER_SILENT = 4000;

/** From when on a connection request was lost rather than refused: the first is repeated after 1 s. In milliseconds. */
const REQUEST_LOST = 2900;

/** What an own time limit cut short, by what was being done. */
const DEADLINES: Readonly<Partial<Record<FailureOperation, VerdictName>>> = {
  resolve: "resolver-silent",
  connect: "connect-hangs",
  handshake: "silent-after-accept",
  request: "response-stalls",
  read: "path-lost-idle",
  write: "reader-stalled",
  receive: "no-answer",
};

/** What the time that it took says. */
function byTime(verdict: VerdictName, { phase, elapsed, sent }: Circumstances): VerdictName {
  if (verdict === "timed-out") return (phase && DEADLINES[phase]) ?? verdict;
  // With nothing on its way it was keepalive that found the path dead.
  if (verdict === "path-lost-sending") return sent === "no" ? "path-lost-idle" : verdict;
  if (elapsed === undefined) return verdict;
  const isVagueName = verdict === "resolver-failure" || verdict === "name-unknown-perhaps";
  if (isVagueName && elapsed >= RESOLVER_SILENT) return "resolver-silent";
  if (verdict === "refused-unseen") return elapsed >= REQUEST_LOST ? "syn-dropped" : verdict;
  return verdict;
}

/** What the state of the network says: it is the cause of most of what fails meanwhile. */
function inNetwork(verdict: VerdictName, around: Circumstances): VerdictName {
  const { phase, local, remote, network } = around;
  if (network === undefined || isLoopbackText(remote)) return verdict;
  const { kind } = verdictOf(verdict);
  const isLoss = kind === "timeout" || kind === "reset" || kind === "unreachable" || kind === "offline";
  if (isLoss && phase !== "resolve" && isGone(local, network)) {
    if (phase === "accept" || phase === "listen") return "listener-address-gone";
    return network.online ? "address-gone" : "address-gone-offline";
  }
  if (verdict === "ports-exhausted" && phase === "connect" && isGone(local, network)) return "address-gone";
  if (network.online) return verdict;
  if (kind === "dns" || verdict === "resolver-offline") return "resolver-offline";
  if (kind !== "timeout" && kind !== "unreachable" && kind !== "offline") return verdict;
  if (verdict === "multicast-without-interface") return "multicast-offline";
  return verdict === "link-local-without-zone" ? verdict : offline(network, verdict);
}

function isGone(local: string | undefined, { interfaces }: NetworkViewState): boolean {
  if (local === undefined || interfaces.length === 0) return false;
  const [bare] = local.split("%");
  if (parseIp(bare ?? "") === null || isUnspecified(bare) || isLoopbackText(bare)) return false;
  return !interfaces.some(({ addresses }) => addresses.some(({ address }) => address === bare));
}

/** A watcher's interfaces tell more than a view has to. */
interface Watched {
  readonly name: string;
  readonly up?: boolean;
  readonly running?: boolean;
  readonly kind?: string;
}

/** Why there is no network, as far as the state tells. */
function offline({ interfaces, defaultRoute }: NetworkViewState, verdict: VerdictName): VerdictName {
  const all: readonly Watched[] = interfaces;
  const outer = all.filter(({ kind }) => kind !== "loopback");
  if (outer.length > 0 && outer.every(({ up }) => up === false)) return "link-down";
  const isDead = (route: NetworkViewRoute | null): boolean =>
    route !== null && all.find(({ name }) => name === route.interface)?.running !== true;
  if (isDead(defaultRoute.v4) || isDead(defaultRoute.v6)) return "no-carrier";
  return verdict === "link-down" ? verdict : "no-default-route";
}
