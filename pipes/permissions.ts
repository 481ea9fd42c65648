/** What the module needs from the runtime, as data. */

import { libcCandidates } from "../internal/ffi/libc.ts";
import type { ModulePermissions } from "../internal/permissions.ts";

const EVERYWHERE = ["linux", "darwin", "windows"] as const;

/** The permissions of `pipes`, part by part; they stand beside each other, none replaces another. */
export const permissions: ModulePermissions = {
  module: "pipes",
  backends: [
    {
      backend: "network",
      os: EVERYWHERE,
      needs: [{ name: "net" }],
      wants: [{ name: "read", path: "/etc/hosts" }],
      summary: "connect() and listen() for tcp, tls, udp, ws and wss; the host and port alone will do",
    },
    {
      backend: "unix",
      os: ["linux", "darwin"],
      needs: [{ name: "net" }, { name: "read", path: "PATH" }],
      wants: [],
      summary:
        "connect() and listen() for Unix sockets; --allow-write=PATH as well, and --allow-net=unix:PATH will do",
    },
    {
      backend: "exec",
      os: EVERYWHERE,
      needs: [{ name: "run", command: "COMMAND" }],
      wants: [],
      summary: "connect() to exec:, the standard input and output of a command",
    },
    {
      backend: "proxy",
      os: EVERYWHERE,
      needs: [],
      wants: ["https_proxy", "all_proxy", "no_proxy"].map((variable) => ({ name: "env" as const, variable })),
      summary: 'connect() with proxy: "system"; the variables in upper case as well',
    },
    {
      backend: "memory",
      os: EVERYWHERE,
      needs: [],
      wants: [],
      summary: "pipes within the process, framing, relay() and the rest that opens nothing",
    },
    {
      backend: "sockets",
      os: ["linux"],
      needs: libcCandidates().slice(0, 1).map((path) => ({ name: "ffi" as const, path })),
      wants: [],
      summary:
        "servers of TLS without delay by the runtime itself, resets by abort(), via: { interface } for tcp and tls",
    },
    {
      backend: "local-address",
      os: EVERYWHERE,
      needs: [{ name: "sys", kind: "networkInterfaces" }],
      wants: [],
      summary: 'listen() on "local" without a network, and addresslost without one',
    },
  ],
};
