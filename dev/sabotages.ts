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
