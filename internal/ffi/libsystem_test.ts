import { assert, assertEquals, assertThrows } from "@std/assert";
import { HoldfastError } from "../errors.ts";
import { requires } from "../../tests/_require.ts";
import { acquireLibSystem, ERRNO, type LibSystem, readFile, SYMBOLS, systemError } from "./libsystem.ts";

const { fixed, x86_64, aarch64 } = SYMBOLS;
/** The variadic functions of libSystem that are called, and how many of their arguments are fixed (fcntl(2), ioctl(2)). */
const VARIADIC = { fcntl: 2, ioctl: 2 };

function parameters(table: Deno.ForeignLibraryInterface, name: string): readonly Deno.NativeType[] {
  const symbol = table[name];
  assert(symbol && "parameters" in symbol, `${name} is no function`);
  return symbol.parameters;
}

Deno.test("the two processors differ in the variadic functions alone, and in nothing else", () => {
  assertEquals(Object.keys(x86_64).toSorted(), Object.keys(VARIADIC));
  assertEquals(Object.keys(aarch64).toSorted(), Object.keys(VARIADIC));
  assertEquals(Object.keys(fixed).filter((name) => name in VARIADIC), []);
});

for (const [name, count] of Object.entries(VARIADIC)) {
  Deno.test(`${name}() takes its variadic argument third on x86-64, and ninth, on the stack, on arm64`, () => {
    const [short, long] = [parameters(x86_64, name), parameters(aarch64, name)];
    assertEquals([short.length, long.length], [count + 1, 9]);
    assertEquals(long.slice(0, count), short.slice(0, count));
    assertEquals(long.at(-1), short.at(-1));
    // x0 to x7 hold eight arguments, so six dummies fill what the fixed two leave free.
    assertEquals(long.slice(count, -1), Array(6).fill("i64"));
    // On the stack an argument takes as many bytes as its type has, a variadic one always eight.
    assert(long.at(-1) === "buffer" || long.at(-1) === "i64");
  });
}

Deno.test("no other function is variadic where it matters: open() is called without its mode", () => {
  assertEquals(parameters(fixed, "open"), ["buffer", "i32"]);
});

Deno.test("an error of the system is told by its name and its number", () => {
  const error = systemError(ERRNO.ENOMEM, "read routing table");
  assertEquals([error.message, error.code], ["Cannot read routing table: ENOMEM", "system"]);
  assertEquals(systemError(77, "x").message, "Cannot x: error 77");
});

Deno.test({
  name: "where there is no libSystem the error says so, and what to do",
  ...requires({ os: ["linux", "windows"] }),
  fn() {
    const error = assertThrows(acquireLibSystem, HoldfastError, "Cannot open libSystem: ");
    assertEquals([error.code, error.hint?.includes('"route-monitor"')], ["unsupported", true]);
  },
});

Deno.test({
  name: "on macOS itself libSystem opens, numbers errors, and reads files",
  ...requires({ os: ["darwin"] }),
  fn() {
    using system = acquireLibSystem();
    assertEquals([system.call.close(-1), system.errno()], [-1, ERRNO.EBADF]);
    // F_GETFD on a descriptor of ours, where the variadic argument counts on F_SETFD.
    const fd = system.check(system.call.socket(17, 3, 0), "open routing socket");
    assertEquals(system.call.fcntl(fd, 2, 1), 0);
    assertEquals(system.call.fcntl(fd, 1, 0), 1);
    assertEquals(system.call.close(fd), 0);
    assert(readFile(system, "/etc/hosts")?.length);
  },
});

Deno.test("a file is read piece by piece up to the limit, and closed whatever comes", () => {
  let left = 25;
  let open = 0;
  const calls = {
    open: () => ++open,
    close: () => (open--, 0),
    read: (_fd: number, into: Uint8Array, size: bigint) => {
      const count = Math.min(left, 10, Number(size));
      into.fill(7, 0, count);
      left -= count;
      return count;
    },
  };
  const system = { call: calls } as unknown as LibSystem;
  assertEquals(readFile(system, "/etc/hosts"), new Uint8Array(25).fill(7));
  left = 25;
  assertEquals(readFile(system, "/etc/hosts", 12)?.length, 12);
  assertEquals(readFile({ call: { ...calls, read: () => -1 } } as unknown as LibSystem, "/etc/hosts"), null);
  assertEquals(readFile({ call: { ...calls, open: () => -1 } } as unknown as LibSystem, "/nowhere"), null);
  assertEquals(open, 0);
});
