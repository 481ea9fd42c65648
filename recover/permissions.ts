/** What the module needs from the runtime, as data. */

import type { ModulePermissions } from "../internal/permissions.ts";

const EVERYWHERE = ["linux", "darwin", "windows"] as const;

/** The permissions of `recover`, part by part; they stand beside each other, none replaces another. */
export const permissions: ModulePermissions = {
  module: "recover",
  backends: [
    {
      backend: "dial",
      os: EVERYWHERE,
      needs: [{ name: "net" }],
      wants: [{ name: "read", path: "/etc/hosts" }],
      summary:
        "dial() and ready(); with a host and port alone the runtime chooses among the addresses itself",
    },
    {
      backend: "servers",
      os: EVERYWHERE,
      needs: [{ name: "net" }],
      wants: [],
      summary: "acceptLoop() and serve(), for the address that they listen on",
    },
    {
      backend: "local-address",
      os: EVERYWHERE,
      needs: [{ name: "sys", kind: "networkInterfaces" }],
      wants: [],
      summary: "heartbeat() without a network sees by it that its own address is gone",
    },
    {
      backend: "policies",
      os: EVERYWHERE,
      needs: [],
      wants: [],
      summary: "retry, timeout, breaker, hedge, limit, fallback, classify and the rest that only computes",
    },
  ],
};
