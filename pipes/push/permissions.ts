/** What the module needs from the runtime, as data. */

import { libcCandidates } from "../../internal/ffi/libc.ts";
import type { ModulePermissions } from "../../internal/permissions.ts";

/** The permissions of `pipes/push`, part by part; they stand beside each other, none replaces another. */
export const permissions: ModulePermissions = {
  module: "pipes/push",
  backends: [
    {
      backend: "scm",
      os: ["linux"],
      needs: libcCandidates().slice(0, 1).map((path) => ({ name: "ffi" as const, path })),
      wants: [{ name: "net", host: "127.0.0.1" }],
      summary:
        "pushTo() and receive(), between any two processes; with 127.0.0.1 the received pipes are faster",
    },
  ],
};
