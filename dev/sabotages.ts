/** The sabotages: one line broken on purpose, and the tests that must notice. */

/** A sabotage of one line. */
export interface Sabotage {
  /** What is broken, in words. */
  readonly name: string;
  /** The file it is made in. */
  readonly file: string;
  /** The text to replace; it stands in the file exactly once. */
  readonly find: string;
  /** What takes its place. */
  readonly replace: string;
  /** The test files that must turn red. */
  readonly test: readonly string[];
  /** Only the tests of these files whose names contain this. */
  readonly filter?: string;
}

const EVENTS = { file: "internal/events.ts", test: ["internal/events_test.ts"] };
const DELIVERIES = { file: "internal/deliveries.ts", test: ["internal/deliveries_test.ts"] };
const EXEC = { file: "internal/exec.ts", test: ["internal/exec_test.ts"] };
const CLOCK = { file: "internal/clock.ts", test: ["internal/clock_test.ts"] };
const SHUTDOWN = { file: "internal/shutdown.ts", test: ["internal/shutdown_test.ts"] };
const PERMISSIONS = { file: "internal/permissions.ts", test: ["internal/permissions_test.ts"] };
const CLI_FAILURE = { file: "cli/failure.ts", test: ["cli/failure_test.ts"] };
const CLI_PARSE = { file: "cli/parse.ts", test: ["cli/parse_test.ts", "tests/cli_mistakes_test.ts"] };
const STUN = { file: "watch/_stun.ts", test: ["watch/_stun_test.ts"] };
const GATE = { file: "dev/layers.ts", test: ["tests/gate_test.ts"], filter: "the layer check" };

/** All sabotages. */
export const SABOTAGES: readonly Sabotage[] = [
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
    find: "hold: holdProcess(this.#clock)",
    replace: "hold: { [Symbol.dispose]: () => void this.#clock }",
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
    find: 'const env = { LC_ALL: "C" };',
    replace: 'const env = { LC_NOTHING: "C" };',
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
    replace: "entries.set(key, value);",
    test: ["internal/store_test.ts"],
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
  {
    ...CLI_FAILURE,
    name: "command line: a missing permission ends like any failure",
    find: "tell(error.code, EXIT.permission, error.hint, error.flags)",
    replace: "tell(error.code, EXIT.failed, error.hint, error.flags)",
  },
  {
    name: "command line: foreign text may steer the terminal",
    file: "cli/style.ts",
    find: "\\x7f-\\x9f",
    replace: "\\x7f",
    test: ["cli/style_test.ts"],
  },
  {
    ...CLI_PARSE,
    name: "command line: unknown options are passed over",
    find: "if (unknown[0] !== undefined) throw unknownOption(command, options, unknown[0]);",
    replace: "if (unknown[0] === null) throw unknownOption(command, options, unknown[0]);",
  },
  {
    ...CLI_PARSE,
    name: "command line: an option given twice is passed over",
    find: 'if (typed.length > 1 && option.type !== "list") {',
    replace: 'if (typed.length > 9 && option.type !== "list") {',
  },
  {
    name: "command line: a time in JSON is a number",
    file: "cli/json_line.ts",
    find: 'key === "at" && typeof value === "number"',
    replace: 'key === "when" && typeof value === "number"',
    test: ["cli/failure_test.ts"],
  },
  {
    name: "fake clock: timers fire in the order they were set, not when they are due",
    file: "testing/fake_clock.ts",
    find: "(next === undefined || entry.due < next.due)",
    replace: "next === undefined",
    test: ["testing/fake_clock_test.ts"],
  },
  {
    ...STUN,
    name: "STUN: any transaction id is taken for ours",
    find: "if (!message.id.every((byte, i) => byte === id[i])) {",
    replace: "if (message.id.length !== id.length) {",
  },
  {
    ...STUN,
    name: "STUN: a message without the magic cookie is taken",
    find: "if (!MAGIC.every((byte, i) => byte === bytes[4 + i])) {",
    replace: "if (MAGIC.length === 0) {",
  },
  {
    ...STUN,
    name: "STUN: a wrong FINGERPRINT is taken",
    find: "if (view.getUint32(next - 4) !== fingerprint(before)) {",
    replace: "if (view.getUint32(next - 4) < 0 && fingerprint(before)) {",
  },
  {
    ...STUN,
    name: "STUN: an attribute may reach beyond the message",
    find: "if (next > bytes.length) {",
    replace: "if (next > bytes.length + 65_536) {",
  },
  {
    ...STUN,
    name: "STUN: a mapped address that can be nobody's is taken",
    find: "if (!isUsable(mapped)) {",
    replace: "if (!isUsable(mapped) && mapped.port > 65_535) {",
  },
  {
    ...GATE,
    name: "layers: lazy imports are passed over",
    find: "if (!specifier.startsWith(root.href) ||",
    replace: 'if (specifier.endsWith("lazy.ts") || !specifier.startsWith(root.href) ||',
  },
];
