/** Sabotages of `watch/` on macOS and Windows. */

import type { Sabotage } from "./sabotages.ts";

const ROUTING_SOCKET = {
  file: "watch/_source_routing_socket.ts",
  test: ["watch/_source_routing_socket_test.ts"],
};
const NOTIFY = { file: "watch/_windows_notify.ts", test: ["watch/_windows_notify_test.ts"] };

/** All of them. */
export const SYSTEMS: readonly Sabotage[] = [
  {
    ...ROUTING_SOCKET,
    name: "macOS: a look-up that failed asks for a reading",
    find: "    case RTM.MISS:",
    replace: "    case RTM.GET + 1000:",
  },
  {
    ...ROUTING_SOCKET,
    name: "macOS: the notification stays registered after the last watcher",
    find: "{ [Symbol.dispose]: () => void this.#system.call.notify_cancel(token) }",
    replace: "{ [Symbol.dispose]: () => void token }",
  },
  {
    name: "macOS: routing messages of another version are read",
    file: "watch/_route_socket.ts",
    find: "if (data.getUint8(at + 2) === VERSION) {",
    replace: "if (data.getUint8(at + 2) !== VERSION + 300) {",
    test: ["watch/_route_socket_test.ts"],
  },
  {
    ...NOTIFY,
    name: "Windows: notifications that do nothing are trusted",
    find: "if (handle === 0n) throw unsupported(operation, `${way}",
    replace: "if (handle < 0n) throw unsupported(operation, `${way}",
  },
  {
    ...NOTIFY,
    name: "Windows: notifications go on after the last watcher",
    find: "stack.defer(async () => void await call.CancelMibChangeNotify2(handle));",
    replace: "stack.defer(async () => void await Promise.resolve(handle));",
  },
  {
    name: "Windows: the metric of the interface does not count",
    file: "watch/_windows_reading.ts",
    find: "route.metric + (metrics.get(route.index) ?? 0)",
    replace: "route.metric + 0 * (metrics.get(route.index) ?? 0)",
    test: ["watch/_windows_reading_test.ts"],
  },
  {
    name: "Windows: polling passes over the native tables",
    file: "watch/_select.ts",
    find: 'os === "windows" ? WINDOWS()',
    replace: 'os === "windows" ? WINDOWS().slice(9)',
    test: ["tests/windows/wine_watch_test.ts"],
    filter: "watchNetwork() tells by polling",
  },
];
