/** What the module needs from the runtime, as data. */

import { libcCandidates } from "../internal/ffi/libc.ts";
import type { ModulePermissions, Need } from "../internal/permissions.ts";

const RESOLVER: readonly Need[] = [
  { name: "read", path: "/etc" },
  { name: "read", path: "/run/systemd/resolve" },
];

/** The permissions of `watch`, backend by backend, best first. For `ffi` one of the paths is needed: where libc lies. */
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
      backend: "poll",
      os: ["linux", "darwin", "windows"],
      needs: [{ name: "sys", kind: "networkInterfaces" }],
      wants: RESOLVER,
      summary: "sees addresses only, every two seconds; sees all where ffi or run=ip is granted too",
    },
  ],
};
