/** The names of the verdicts, and the shape of their table. */

import type { FailureKind, FailureRetry, FailureSent, FailureWhere } from "./failure.ts";
import type { ScenarioId } from "./scenarios/ids.ts";

/** The name of a verdict: that of a scenario which an error can tell, or one of its own. */
export type VerdictName = Exclude<ScenarioId, Untold> | OwnName;

/** Kind, where, retry and sent in this order; `phase`: what was being done tells whether it was sent. */
export type VerdictWords = `${FailureKind} ${FailureWhere} ${FailureRetry} ${FailureSent | "phase"}`;

/** One row: the words, the hint, and the scenario where it is not the name. */
export type VerdictRow = readonly [words: VerdictWords, hint: string, scenario?: ScenarioId];

/** Scenarios that no error and no event tells: only what a program measures itself does. */
export type Untold =
  | "neighbour-stale"
  | "route-moved"
  | "temporary-address-rotated"
  | "reverse-path-filter"
  | "ipv6-dead"
  | "first-addresses-dead"
  | "self-connect"
  | "peer-rebooted"
  | "kernel-waits-on"
  | "nat-entry-lost"
  | "nat-idle-timeout"
  | "mtu-black-hole"
  | "tls-first-round-trip"
  | "latency-spike"
  | "packet-loss"
  | "one-way-loss"
  | "drip"
  | "connection-age-limit"
  | "silent-clients"
  | "aaaa-lost"
  | "address-cached"
  | "resolver-of-old-network"
  | "nat-rebinding"
  | "suspend"
  | "clock-jump"
  | "event-loop-stall"
  | "process-frozen"
  | "retry-storm";

/** Verdicts that are no scenario, or another face of one. */
export type OwnName =
  | "address-gone-offline"
  | "multicast-offline"
  | "refused-unseen"
  | "winsock-unseen"
  | "reset-at-accept"
  | "not-connected"
  | "unix-socket-denied"
  | "file-missing"
  | "name-unknown-perhaps"
  | "resolver-offline"
  | "certificate-bad"
  | "tls-failed"
  | "pooled-connection-unsent"
  | "server-error"
  | "request-too-slow"
  | "request-refused"
  | "not-authorized"
  | "not-a-failure"
  | "bad-answer"
  | "websocket-closed"
  | "proxy-wants-login"
  | "fetch-failed"
  | "no-answer"
  | "cancelled"
  | "timed-out"
  | "would-block"
  | "not-supported"
  | "invalid-argument"
  | "breaker-open"
  | "limit-full"
  | "tool-missing"
  | "unknown";
