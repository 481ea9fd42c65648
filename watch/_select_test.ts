import { assert, assertEquals, assertRejects } from "@std/assert";
import { HoldfastError, PermissionError, ToolMissingError } from "../internal/errors.ts";
import type { BackendName } from "./events.ts";
import { notAsked, openFirst, passedOver, type Rung, rungs } from "./_select.ts";

function rung(backend: BackendName): Rung {
  const never = (): never => {
    throw new TypeError("not opened here");
  };
  return { backend, needs: [{ name: "run", command: backend }], open: never, reader: never };
}

const ALL = [rung("netlink"), rung("ip-monitor"), rung("poll")];

/** Opens the first that has no error, and writes down which were tried. */
async function open(
  errors: Partial<Record<BackendName, unknown>>,
  wanted: BackendName | "auto" = "auto",
): Promise<{ backend: BackendName; rank: number; passed: string[]; tried: BackendName[] }> {
  const tried: BackendName[] = [];
  const { value, rank, passed } = await openFirst(wanted, ({ backend }) => {
    tried.push(backend);
    if (backend in errors) throw errors[backend];
    return Promise.resolve(backend);
  }, ALL);
  return { backend: value, rank, passed: passed.map((one) => one.backend), tried };
}

const refused = (flag: string): PermissionError => new PermissionError("do it", [flag]);
const missing = new ToolMissingError("do it", "ip", "Install it");
const broken = new HoldfastError("Cannot do it: broken", { code: "system", operation: "do it" });

Deno.test("auto takes the first that works, and says what was passed over", async () => {
  assertEquals(await open({}), { backend: "netlink", rank: 0, passed: [], tried: ["netlink"] });
  assertEquals(await open({ netlink: broken, "ip-monitor": missing }), {
    backend: "poll",
    rank: 2,
    passed: ["netlink", "ip-monitor"],
    tried: ["netlink", "ip-monitor", "poll"],
  });
});

Deno.test("a backend by name is the only one tried, and its failure is the caller's", async () => {
  assertEquals(await open({ netlink: broken }, "poll"), {
    backend: "poll",
    rank: 0,
    passed: [],
    tried: ["poll"],
  });
  assertEquals(await assertRejects(() => open({ netlink: broken }, "netlink")), broken);
});

Deno.test("a backend that this system has not is refused with the names of those it has", async () => {
  await assertRejects(
    () => open({}, "iphlpapi"),
    TypeError,
    'Cannot watch the network: backend must be "auto", "netlink", "ip-monitor", "poll" on this system, got "iphlpapi"',
  );
});

Deno.test("a defect is thrown on, not passed over", async () => {
  await assertRejects(() => open({ netlink: new TypeError("a bug") }), TypeError, "a bug");
});

Deno.test("where only permissions and tools are missing, the error names the best flag and the alternatives", async () => {
  const errors = {
    netlink: refused("--allow-ffi=libc"),
    "ip-monitor": missing,
    poll: refused("--allow-sys"),
  };
  const error = await assertRejects(() => open(errors), PermissionError);
  assertEquals(error.message, "Cannot watch the network: permission missing, add --allow-ffi=libc");
  assertEquals(error.flags, ["--allow-ffi=libc"]);
  assertEquals(error.hint, "Or, seeing less or later: --allow-sys");
  assert(error.cause instanceof AggregateError && error.cause.errors.length === 3);
  const only = { netlink: refused("--allow-ffi"), "ip-monitor": missing, poll: missing };
  assertEquals((await assertRejects(() => open(only), PermissionError)).hint, "Run again with --allow-ffi");
});

Deno.test("where something else is wrong, the error says it of each backend", async () => {
  const errors = { netlink: broken, "ip-monitor": missing, poll: refused("--allow-sys") };
  const error = await assertRejects(() => open(errors), HoldfastError);
  assertEquals([error.code, error.name], ["unsupported", "HoldfastError"]);
  assert(
    error.message.startsWith(
      "Cannot watch the network: no backend works here (netlink: Cannot do it: broken; ",
    ),
  );
});

Deno.test("what was passed over carries the flags or the hint that would help", () => {
  assertEquals(passedOver("netlink", refused("--allow-ffi")), {
    backend: "netlink",
    reason: "Cannot do it: permission missing, add --allow-ffi",
    flags: ["--allow-ffi"],
  });
  assertEquals(passedOver("ip-monitor", missing).hint, "Install it");
  assertEquals(passedOver("poll", broken), { backend: "poll", reason: "Cannot do it: broken" });
  assertEquals(passedOver("poll", "text"), { backend: "poll", reason: "text" });
});

Deno.test("a backend that was not tried because a person would have been asked says so, with its flags", () => {
  assertEquals(notAsked(rung("poll")), {
    backend: "poll",
    reason: "not tried: the runtime would ask for --allow-run=poll",
    flags: ["--allow-run=poll"],
  });
});

Deno.test("the system's backends end with polling, each with what it needs", () => {
  const all = rungs();
  assertEquals(all.at(-1)?.backend, "poll");
  if (Deno.build.os === "linux") {
    assertEquals(all.map(({ backend }) => backend), ["netlink", "ip-monitor", "poll"]);
  }
  assert(all.every(({ needs }) => needs.length > 0));
});
