/** Sabotages of tunnels, takeovers and routes. */

import type { Sabotage } from "./sabotages.ts";

/** All of them. */
export const TUNNEL: readonly Sabotage[] = [
  {
    name: "tunnel: a reset looks like a regular end",
    file: "pipes/tunnel/_flow.ts",
    find: 'if (pipe === "a") abortSession(session, RESET,',
    replace: 'if (pipe !== "a") abortSession(session, RESET,',
    test: ["tests/tunnel_test.ts"],
  },
  {
    name: "tunnel: SOCKS reaches private networks",
    file: "pipes/tunnel/_inner.ts",
    find: "addresses.filter(isPublic)",
    replace: "addresses",
    test: ["tests/tunnel_test.ts"],
  },
  {
    name: "tunnel: an address in disguise passes for a name",
    file: "pipes/tunnel/target.ts",
    find: "return /(?:^|\\.)(?:\\d+|0x[0-9a-f]*)$/.test(name) ? null : name;",
    replace: "return name;",
    test: ["pipes/tunnel/_greeting_test.ts"],
  },
  {
    name: "tunnel: rules without targets allow all",
    file: "pipes/tunnel/tunnel_rules.ts",
    find: "if (!this.#any) return null;",
    replace: "",
    test: ["pipes/tunnel/tunnel_rules_test.ts"],
  },
  {
    name: "tunnel: others may use the control socket",
    file: "cli/tunnel_control.ts",
    find: "Deno.umask(0o177)",
    replace: "Deno.umask(0o022)",
    test: ["tests/cli_tunnel_status_test.ts"],
  },
  {
    name: "tunnel: without the C library nothing resets",
    file: "pipes/tunnel/_can_reset.ts",
    find: "return known ??= probe();",
    replace: "return known ??= true;",
    test: ["tests/tunnel_processes_test.ts"],
  },
  {
    name: "push: the end of a successor is taken for READY",
    file: "pipes/push/offer_listeners.ts",
    find: 'ended: () => this.#left(visitor, "it ended before it was ready"),',
    replace: "ended: () => this.#ready(visitor),",
    test: ["pipes/push/takeover_test.ts"],
  },
  {
    name: "push: a name of the prototype is a route",
    file: "pipes/push/_choose_route.ts",
    find: "table && Object.hasOwn(table, key)",
    replace: "table && key in table",
    test: ["pipes/push/route_test.ts"],
  },
  {
    name: "push: a listener that is handed over still takes connections",
    file: "pipes/push/_offered.ts",
    find: "if (stopAccepting(fd, accepting)) {",
    replace: "if (accepting.length < 0) {",
    test: ["tests/push_takeover_test.ts"],
  },
];
