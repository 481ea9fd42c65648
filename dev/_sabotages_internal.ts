/** Sabotages of `internal/`. */

import type { Sabotage } from "./sabotages.ts";

const EVENTS = { file: "internal/events.ts", test: ["internal/events_test.ts"] };
const DELIVERIES = { file: "internal/deliveries.ts", test: ["internal/deliveries_test.ts"] };
const EXEC = { file: "internal/exec.ts", test: ["internal/exec_test.ts"] };
const CLOCK = { file: "internal/clock.ts", test: ["internal/clock_test.ts"] };
const SHUTDOWN = { file: "internal/shutdown.ts", test: ["internal/shutdown_test.ts"] };
const PERMISSIONS = { file: "internal/permissions.ts", test: ["internal/permissions_test.ts"] };

/** All of them. */
export const INTERNAL: readonly Sabotage[] = [
  {
    ...EVENTS,
    name: "events: an overflow is not marked, so a slow consumer gets a silent gap",
    find: "    this.#lost = true;",
    replace: "    this.#lost = false;",
  },
  {
    ...EVENTS,
    name: "events: queues have no bound",
    find: "if (this.#queue.length < this.#capacity) {",
    replace: "if (this.#queue.length < Infinity) {",
  },
  {
    ...EVENTS,
    name: "events: a pending iteration does not keep the process alive",
    find: "const hold = holdProcess(this.#clock)",
    replace: "const hold = { [Symbol.dispose]: () => void this.#clock }",
  },
  {
    ...EVENTS,
    name: "events: a consumer that leaves stays registered",
    find: "() => this.#consumers.delete(consumer)",
    replace: "() => this.#consumers.has(consumer)",
  },
  {
    ...EVENTS,
    name: "events: an error of a handler that rejects is not reported",
    find: "if (result instanceof Promise) result.catch(report);",
    replace: "if (result instanceof Promise) result.catch(() => {});",
  },
  {
    ...DELIVERIES,
    name: "deliveries: a second reader is let in",
    find: "if (this.#lock) throw",
    replace: "if (this.#lock && this.#capacity < 0) throw",
  },
  {
    ...DELIVERIES,
    name: "deliveries: senders never wait",
    find: "if (this.#queue.length >= this.#capacity) {",
    replace: "if (this.#queue.length >= Infinity) {",
  },
  {
    ...DELIVERIES,
    name: "deliveries: the end leaves senders waiting",
    find: "    this.#end = error === undefined ? {} : { error };\n    this.#releaseSenders();",
    replace: "    this.#end = error === undefined ? {} : { error };",
  },
  {
    ...EXEC,
    name: "exec: output has no bound",
    find: 'fail("output-limit", `wrote more than ${maxOutput} bytes`)',
    replace: "void maxOutput",
  },
  {
    ...EXEC,
    name: "exec: time has no bound",
    find: 'fail("timeout", `did not end within ${timeout} ms`)',
    replace: "void timeout",
  },
  {
    ...EXEC,
    name: "exec: programs speak the user's language",
    find: 'env = { LC_ALL: "C" } } = how;',
    replace: 'env = { LC_NOTHING: "C" } } = how;',
  },
  {
    ...EXEC,
    name: "exec: a signal that is aborted ends nothing",
    find: "const aborted = (): void => stop(signal?.reason);",
    replace: "const aborted = (): void => {};",
  },
  {
    ...CLOCK,
    name: "clock: longer waits than the runtime's timers know end at once",
    find: "Math.min(",
    replace: "Math.max(",
  },
  {
    ...SHUTDOWN,
    name: "shutdown: nobody listens to signals",
    find: "    Deno.addSignalListener(signal, listener);",
    replace: "    void listener;",
  },
  {
    ...SHUTDOWN,
    name: "shutdown: an owner that never gets done keeps the process for ever",
    find: "await Promise.race([late, owner[Symbol.asyncDispose]()]);",
    replace: "await Promise.all([late, owner[Symbol.asyncDispose]()].slice(1));",
  },
  {
    ...PERMISSIONS,
    name: "permissions: a missing one is not mapped to its flag",
    find: "if (isNotCapable(error)) throw new PermissionError",
    replace: "if (isNotCapable(error) && needs.length === 0) throw new PermissionError",
  },
  {
    ...PERMISSIONS,
    name: "permissions: flags that are there already are asked for again",
    find: 'needs.filter((need) => permissionState(need) !== "granted")',
    replace: "needs.filter((need) => permissionState(need) !== undefined)",
  },
  {
    ...PERMISSIONS,
    name: "permissions: a query that would prompt is taken for harmless",
    find: 'permissionState(need) === "prompt"',
    replace: 'permissionState(need) === "denied"',
  },
  {
    name: "backoff: waits have no limit",
    file: "internal/backoff.ts",
    find: "return Math.min(max, initial * growth);",
    replace: "return Math.max(0, initial * growth);",
    test: ["internal/backoff_test.ts"],
  },
  {
    name: "store: what is kept shares its memory with the caller",
    file: "internal/store.ts",
    find: "entries.set(key, new Uint8Array(value));",
    replace: "entries.set(key, value as Uint8Array<ArrayBuffer>);",
    test: ["tests/store_contract_test.ts"],
  },
  {
    name: "network view: listeners stay when it is closed",
    file: "internal/network_view.ts",
    find: '    this.#target.removeEventListener("offline", this.wake);\n',
    replace: "",
    test: ["internal/network_view_test.ts"],
  },
  {
    name: "log: braces reach LogTape as placeholders",
    file: "internal/log.ts",
    find: '.replaceAll("{", "{{")',
    replace: "",
    test: ["internal/log_test.ts"],
  },
];
