/** Whatever anybody may throw: `classify()` gives a whole failure for it, in time, and never throws itself. */

import { assert, assertEquals } from "@std/assert";
import { classify, type ClassifyContext, classifyText } from "../recover/classify.ts";
import type { Failure } from "../recover/failure.ts";
import { SCENARIO_IDS } from "../recover/scenarios/ids.ts";
import { FAILURE_ROWS } from "./_failure_rows.ts";
import { NO_CARRIER, NO_V6, OFF, ON, SWITCHED_OFF, TENTATIVE, WITH_CONFLICT } from "./_failure_networks.ts";
import { fuzz, mutate, Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";

const SHAPES = Object.values(FAILURE_ROWS).flat();
const KINDS =
  /^(offline|dns|refused|reset|timeout|unreachable|address-in-use|address-gone|exhausted|permission|tls|protocol|cancelled|unknown)$/;
const OPERATIONS = [
  "resolve",
  "connect",
  "handshake",
  "request",
  "read",
  "write",
  "send",
  "receive",
  "listen",
  "accept",
  "join",
] as const;
const ADDRESSES = [
  "10.9.1.2",
  "10.9.1.99",
  "fd09:1::33",
  "fd09:2::2",
  "0.0.0.0",
  "::1",
  "fe80::1",
  "fe80::1%vc",
  "/run/a.sock",
  "a.test",
  "",
  "%",
  "[",
  "1.2.3",
];
const SYSTEMS = ["linux", "darwin", "windows", "android", "freebsd", "solaris", undefined] as const;

/** A failure with every field as its type says. */
function check(failure: Failure): string {
  const { scenario, kind, where, retry, sent, hint, code, retryAfter } = failure;
  assert(scenario === null || SCENARIO_IDS.includes(scenario));
  assert(KINDS.test(kind) && /^(local|path|remote|config)$/.test(where));
  assert(/^(now|later|after-change|never)$/.test(retry) && /^(no|maybe|yes)$/.test(sent));
  assert(typeof hint === "string" && hint !== "");
  assert(code === null || /^[A-Z_]+$/.test(code));
  assert(retryAfter === null || (Number.isInteger(retryAfter) && retryAfter >= 0));
  return scenario ?? kind;
}

function contextOf(random: Random): ClassifyContext {
  return {
    operation: random.one([undefined, ...OPERATIONS]),
    os: random.one(SYSTEMS),
    localAddress: random.one([undefined, ...ADDRESSES]),
    remoteAddress: random.one([undefined, ...ADDRESSES]),
    network: random.one([undefined, ON, OFF, NO_V6, NO_CARRIER, SWITCHED_OFF, TENTATIVE, WITH_CONFLICT]),
    elapsed: random.one([undefined, 0, 3000, 10_000, NaN, -1]),
    sent: random.one([undefined, undefined, "no", "maybe", "yes"]),
  };
}

const REVOKED = ((): unknown => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
})();

/** Throws at every touch. */
const THROWS = new Proxy({}, {
  get() {
    throw new Error("get");
  },
  has() {
    throw new Error("has");
  },
  getPrototypeOf() {
    throw new Error("getPrototypeOf");
  },
  ownKeys() {
    throw new Error("ownKeys");
  },
});

/** Has everything, and everything has everything again. */
const ENDLESS: unknown = new Proxy({}, {
  get: (_, key) => key === Symbol.toPrimitive ? undefined : endless(),
});

function endless(): unknown {
  return new Proxy(() => {}, { get: () => endless(), apply: () => endless() });
}

const ODD: readonly unknown[] = [
  null,
  undefined,
  0,
  -1,
  111,
  503,
  NaN,
  true,
  10n,
  Symbol("odd"),
  "",
  "ECONNREFUSED",
  "EINVAL",
  "x".repeat(100_000),
  `${"a ".repeat(50_000)}(os error 111)`,
  "((((((((((".repeat(1000),
  "connect E".repeat(10_000),
  "status code ".repeat(10_000),
  [],
  [[]],
  {},
  () => {},
  new Map(),
  REVOKED,
  THROWS,
  ENDLESS,
];

const KEYS = [
  "name",
  "message",
  "code",
  "errno",
  "syscall",
  "address",
  "cause",
  "errors",
  "error",
  "suppressed",
  "type",
  "target",
  "wasClean",
  "reason",
  "status",
  "statusCode",
  "response",
  "headers",
  "failure",
  "operation",
  "hint",
  "url",
];

/** Something that may be thrown: recorded, changed, put together, or odd. */
function thrown(random: Random, depth = 0): unknown {
  const { error } = random.one(SHAPES);
  if (depth > 4 || random.below(8) === 0) return random.one([error, ...ODD]);
  switch (random.below(6)) {
    case 0:
      return new Error(textOf(random, error), { cause: thrown(random, depth + 1) });
    case 1:
      return new AggregateError(Array.from({ length: random.below(4) }, () => thrown(random, depth + 1)));
    case 2:
      return answered(random);
    case 3: {
      const round: Record<string, unknown> = { message: textOf(random, error) };
      for (const key of ["cause", "error", "errors", "response", "failure"]) {
        round[key] = random.one([round, [round]]);
      }
      return round;
    }
    default: {
      const made: Record<string, unknown> = {};
      for (const key of KEYS) {
        const own = (error as Record<string, unknown>)[key];
        if (random.below(3) > 0) made[key] = own;
        if (random.below(6) === 0) {
          made[key] = random.one([() => thrown(random, depth + 1), () => random.one(ODD)])();
        }
        if (random.below(40) === 0) Object.defineProperty(made, key, { get: () => assert(false, "getter") });
      }
      return made;
    }
  }
}

const WAITS = [
  "3",
  "-3",
  "soon",
  "Wed, 21 Oct 2015 07:28:00 GMT",
  "Wed, 99 Oct 2015 07:28:00 GMT",
  "9".repeat(70),
];

/** What another end said: a status with headers, or a close code. */
function answered(random: Random): unknown {
  const code = random.one([0, 1000, 1001, 1006, 1008, 1015, 1016, 4000, random.below(5000)]);
  if (random.below(2) === 0) {
    return new CloseEvent("close", { code, reason: random.one(["", "No response from ping frame."]) });
  }
  const status = random.one([200, 302, 407, 429, 500, 503, 511, 100 + random.below(500)]);
  const headers = { "retry-after": random.one(WAITS), date: random.one(WAITS) };
  return random.one<unknown>([
    { status, headers: new Headers(headers) },
    { message: "status code 503", response: { status, headers } },
    { message: "", statusCode: status },
  ]);
}

/** A recorded text, with some of its letters changed. */
function textOf(random: Random, error: unknown): string {
  const message = `${(error as { message?: unknown }).message ?? "ECONNRESET"}`;
  const bytes = new TextEncoder().encode(message);
  return random.below(2) === 0 ? message : new TextDecoder().decode(mutate(random, bytes, [bytes]));
}

Deno.test("classify() gives a whole failure for whatever is thrown, and never throws", () => {
  const ends = fuzz(
    scale(3000, 200_000),
    // What is made cannot be printed, so a seed of its own stands for it.
    (random) => random.below(2 ** 31),
    (own) => {
      const random = new Random(own);
      return check(classify(thrown(random), contextOf(random)));
    },
  );
  assert(ends.size > 50, `only ${[...ends.keys()]}`);
});

Deno.test("classifyText() gives a whole failure for whatever is pasted", () => {
  const ends = fuzz(
    scale(3000, 200_000),
    (random) => ({ text: textOf(random, random.one(SHAPES).error), os: random.one(SYSTEMS) }),
    ({ text, os }) => check(classifyText(text, os)),
  );
  assert(ends.size > 40, `only ${[...ends.keys()]}`);
});

Deno.test("classify() gives a whole failure for each odd thing, alone and in each place", () => {
  for (const odd of ODD) {
    check(classify(odd));
    for (const key of KEYS) check(classify({ message: "", [key]: odd }));
    for (const key of ["cause", "headers", "failure"]) {
      check(classify(new Error("status 503", { cause: { status: 503, [key]: odd } })));
    }
  }
});

Deno.test("classify() looks at 64 errors at most, however many there are", () => {
  let looked = 0;
  const counting = (): unknown => ({
    get message() {
      looked++;
      return "";
    },
    get cause() {
      return counting();
    },
    get errors() {
      return Array.from({ length: 1000 }, counting);
    },
  });
  assertEquals(classify(counting()).kind, "unknown");
  assert(looked > 0 && looked <= 64 * 8, `${looked}`);
});
