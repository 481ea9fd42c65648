/** What has been shown to work where: the data behind `docs/PLATFORMS.md` and `holdfast doctor`. */

/**
 * How a feature is known to work on a system: `real`: tests run on that system; `wine`: the Windows build runs under Wine;
 * `recorded`: parsers and layouts are tested on bytes recorded there; `unproven`: written for it, never run there;
 * `none`: not there yet.
 */
export type Proof = "real" | "wine" | "recorded" | "unproven" | "none";

/** One feature, and how it is known to work on each system. */
export interface PlatformFeature {
  /** The module it belongs to, or `cli`. */
  readonly module: string;
  /** What it is, in words. */
  readonly feature: string;
  /** On Linux. */
  readonly linux: Proof;
  /** On macOS. */
  readonly darwin: Proof;
  /** On Windows. */
  readonly windows: Proof;
}

function row(
  module: string,
  feature: string,
  linux: Proof,
  darwin: Proof,
  windows: Proof,
): PlatformFeature {
  return { module, feature, linux, darwin, windows };
}

/** All features, by module. */
export const PLATFORMS: readonly PlatformFeature[] = [
  row(
    "watch",
    "native backend (Linux: netlink, macOS: routing socket, both with SIGIO; Windows: IP Helper with SetEvent)",
    "real",
    "unproven",
    "wine",
  ),
  row(
    "watch",
    "backend by a tool of the system (Linux: ip monitor; macOS: route monitor; Windows: PowerShell)",
    "real",
    "unproven",
    "unproven",
  ),
  row("watch", "polling", "real", "unproven", "wine"),
  row("watch", "addresses", "real", "unproven", "wine"),
  row("watch", "default routes", "real", "unproven", "wine"),
  row("watch", "carrier, policy rules", "real", "unproven", "unproven"),
  row("watch", "name servers", "real", "unproven", "wine"),
  row("watch", "public address by STUN", "real", "unproven", "unproven"),
  row("watch", "sleep and wake", "unproven", "unproven", "unproven"),
  row("recover", "classification of errors", "real", "unproven", "unproven"),
  row("recover", "policies, heartbeat, supervision", "real", "unproven", "unproven"),
  row("recover", "readiness gate", "real", "unproven", "wine"),
  row("recover", "dial", "real", "unproven", "unproven"),
  row("recover", "guards of servers", "real", "unproven", "unproven"),
  row("pipes", "TCP, TLS, UDP, WebSocket, within the process", "real", "unproven", "unproven"),
  row("pipes", "Unix sockets", "real", "unproven", "none"),
  row("pipes", "binding to an interface", "real", "none", "none"),
  row("pipes", "commands, proxies", "real", "unproven", "unproven"),
  row("pipes", "sessions that outlive their connections, tunnels", "real", "unproven", "unproven"),
  row("pipes", "sockets pushed to other processes", "real", "none", "none"),
  row("signal", "messages over MQTT brokers", "real", "unproven", "unproven"),
  row("testing", "scripted network, fake clock", "real", "unproven", "wine"),
  row("testing", "servers with faults: TCP, TLS, HTTP, WebSocket, DNS, STUN", "real", "unproven", "unproven"),
  row("cli", "all commands", "real", "unproven", "unproven"),
];
