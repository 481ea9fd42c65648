import { assertEquals, assertStringIncludes } from "@std/assert";
import { HoldfastError, PermissionError, ToolMissingError } from "../internal/errors.ts";
import { failureOf, failureText } from "./failure.ts";
import { jsonLine } from "./json_line.ts";
import { UsageError } from "./usage_error.ts";

Deno.test("each kind of failure has its exit code", () => {
  const exit = (error: unknown): number => failureOf(error).exit;
  assertEquals(exit(new UsageError("Cannot run: typo", "Write it right")), 2);
  assertEquals(exit(new RangeError("Cannot watch: quiet must be less than ceiling")), 2);
  assertEquals(exit(new PermissionError("open netlink socket", ["--allow-ffi"])), 3);
  assertEquals(
    exit(new Deno.errors.NotCapable('Requires net access to "x", run again with the --allow-net flag')),
    3,
  );
  assertEquals(exit(new ToolMissingError("read addresses", "ip", "Install the package iproute2")), 4);
  assertEquals(exit(new HoldfastError("Cannot ask", { code: "timeout", operation: "ask" })), 124);
  assertEquals(exit(new HoldfastError("Cannot ask", { code: "system", operation: "ask" })), 1);
  assertEquals(exit("thrown text"), 1);
});

Deno.test("a missing permission is told with the flags to paste", () => {
  const failure = failureOf(new PermissionError("watch the network", ["--allow-ffi=/lib/libc.so.6"]));
  assertEquals(failure.flags, ["--allow-ffi=/lib/libc.so.6"]);
  assertStringIncludes(failureText(failure), "--allow-ffi=/lib/libc.so.6");
  const refused = failureOf(
    new Deno.errors.NotCapable('Requires net access to "x", run again with the --allow-net flag'),
  );
  assertEquals(refused.flags, ["--allow-net"]);
  assertEquals(refused.hint, "Run again with --allow-net");
});

Deno.test("what comes from outside cannot steer the terminal through an error", () => {
  const text = failureText(failureOf(new Error("Cannot read \x1b[2Jv0")));
  assertEquals(text, "holdfast: Cannot read \\u001b[2Jv0");
});

Deno.test("a JSON line begins with type and at, and every time in it is RFC 3339", () => {
  const line = { n: 1, at: 0, type: "change", previous: { at: 1 }, events: [{ at: 2, type: "online" }] };
  assertEquals(
    jsonLine(line),
    '{"type":"change","at":"1970-01-01T00:00:00.000Z","n":1,"previous":{"at":"1970-01-01T00:00:00.001Z"},' +
      '"events":[{"at":"1970-01-01T00:00:00.002Z","type":"online"}]}',
  );
  assertEquals(jsonLine({ type: "x" }, 86_400_000), '{"type":"x","at":"1970-01-02T00:00:00.000Z"}');
});
