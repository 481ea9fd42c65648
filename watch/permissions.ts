/** What the module needs from the runtime, as data. */

import { libcCandidates, LIBSYSTEM } from "../internal/ffi/libc.ts";
import { windowsNeeds } from "../internal/ffi/windows_paths.ts";
import type { ModulePermissions, Need } from "../internal/permissions.ts";

const RESOLVER: readonly Need[] = [
  { name: "read", path: "/etc" },
  { name: "read", path: "/run/systemd/resolve" },
];

/** The permissions of `watch`, backend by backend, best first. The C library lies at one of several paths, per machine. */
export const permissions: ModulePermissions = {
  module: "watch",
  backends: [
    {
      backend: "netlink",
      os: ["linux"],
      needs: libcCandidates().slice(0, 1).map((path) => ({ name: "ffi" as const, path })),
      wants: [],
      summary: "sees everything at kernel speed, blocks no thread",
    },
    {
      backend: "ip-monitor",
      os: ["linux"],
      needs: [{ name: "run", command: "ip" }],
      wants: RESOLVER,
      summary: "sees everything, one process a reading",
    },
    {
      backend: "routing-socket",
      os: ["darwin"],
      needs: [{ name: "ffi", path: LIBSYSTEM }],
      wants: [],
      summary: "sees everything at kernel speed, blocks no thread",
    },
    {
      backend: "route-monitor",
      os: ["darwin"],
      needs: ["route", "ifconfig", "netstat", "scutil"].map((command) => ({ name: "run", command })),
      wants: [{ name: "read", path: "/etc" }, { name: "read", path: "/var/run" }],
      summary: "sees everything, name servers within six seconds of the network; five processes a reading",
    },
    {
      backend: "iphlpapi",
      os: ["windows"],
      needs: windowsNeeds(),
      wants: [],
      summary: "sees everything at once, one thread waits for all watchers",
    },
    {
      backend: "powershell",
      os: ["windows"],
      needs: [{ name: "run", command: "powershell.exe" }],
      wants: [],
      summary: "sees everything, gateways and name servers within five seconds; one process a reading",
    },
    {
      backend: "poll",
      os: ["linux", "darwin", "windows"],
      needs: [{ name: "sys", kind: "networkInterfaces" }],
      wants: RESOLVER,
      summary: "sees addresses only, every two seconds; sees all where ffi or run=ip is granted too",
    },
  ],
};
