/** Sabotages of sockets that are pushed to other processes. */

import type { Sabotage } from "./sabotages.ts";

/** All of them. */
export const PUSH: readonly Sabotage[] = [
  {
    name: "peek: it asks for more without end",
    file: "pipes/push/peek_route.ts",
    find: 'more && bytes.length < MAX_PEEK ? "more"',
    replace: 'more ? "more"',
    test: ["pipes/push/peek_route_test.ts"],
  },
  {
    name: "peek: an extension of TLS may stand there twice",
    file: "pipes/push/_peek_tls.ts",
    find: "if (seen.has(type)) throw new Malformed();",
    replace: "",
    test: ["pipes/push/peek_route_test.ts"],
  },
  {
    name: "peek: a request may name two hosts",
    file: "pipes/push/_peek_http.ts",
    find: 'if (hosts.length > 1) return "unknown";',
    replace: "",
    test: ["pipes/push/peek_route_test.ts"],
  },
  {
    name: "peek: a second name of the PROXY header is taken",
    file: "pipes/push/_peek_proxy.ts",
    find: "if (authority === null || name !== null) return undefined;",
    replace: "",
    test: ["pipes/push/peek_route_test.ts"],
  },
  {
    name: "push: two Workers take the same socket",
    file: "pipes/push/worker.ts",
    find: "if (Atomics.compareExchange(new Int32Array(offer.claim), 0, 0, TAKEN) !== 0) return null;",
    replace: "",
    test: ["tests/push_worker_test.ts"],
  },
  {
    name: "push: sockets meant for another process are taken",
    file: "pipes/push/listen_fds.ts",
    find: "told.LISTEN_PID !== `${Deno.pid}` || told",
    replace: "told",
    test: ["tests/listen_fds_test.ts"],
  },
  {
    name: "push: a child is not told that the sockets are its own",
    file: "pipes/push/inherit.ts",
    find: "export LISTEN_PID=$$; exec",
    replace: "exec",
    test: ["tests/inherit_test.ts"],
  },
  {
    name: "push: bytes that were read are not passed on, and nobody is told",
    file: "pipes/push/_passing.ts",
    find: "if (prepared.prefix.length === 0) return;",
    replace: "return;",
    test: ["tests/inherit_test.ts"],
  },
  {
    name: "push: who waits for a process that has gone waits for ever",
    file: "pipes/push/_ipc_answers.ts",
    find:
      'for (const settle of this.#waiting.values()) settle(failed("closed", "the other process has gone"));',
    replace: "",
    test: ["tests/push_ipc_test.ts"],
  },
  {
    name: "push: a descriptor is written over by the one before",
    file: "internal/exec_descriptors.ts",
    find: "&& !overwritten &&",
    replace: "&&",
    test: ["internal/exec_descriptors_test.ts"],
  },
];
