import { assert, assertEquals, assertFalse, assertStrictEquals } from "@std/assert";
import { HoldfastError, isNotCapable, PermissionError, ToolMissingError } from "./errors.ts";

Deno.test("a HoldfastError carries code, operation, cause and hint besides its message", () => {
  const cause = new RangeError("below");
  const error = new HoldfastError("Cannot read routes: no such table", {
    code: "system",
    operation: "read routes",
    cause,
    hint: "Load the table",
  });
  assert(error instanceof Error);
  assertEquals([error.name, error.message], ["HoldfastError", "Cannot read routes: no such table"]);
  assertEquals([error.code, error.operation, error.hint], ["system", "read routes", "Load the table"]);
  assertStrictEquals(error.cause, cause);
});

Deno.test("a HoldfastError without a cause has none, not an undefined one", () => {
  const error = new HoldfastError("Cannot wait: closed", { code: "closed", operation: "wait" });
  assertFalse("cause" in error);
  assertEquals(error.hint, undefined);
});

Deno.test("a PermissionError names the flags in message and hint, ready to paste", () => {
  const cause = new Deno.errors.NotCapable("no");
  const error = new PermissionError(
    "read routes",
    ["--allow-run=ip", "--allow-sys=networkInterfaces"],
    cause,
  );
  const flags = "--allow-run=ip --allow-sys=networkInterfaces";
  assert(error instanceof HoldfastError);
  assertEquals([error.name, error.code, error.operation], ["PermissionError", "permission", "read routes"]);
  assertEquals(error.message, `Cannot read routes: permission missing, add ${flags}`);
  assertEquals(error.hint, `Run again with ${flags}`);
  assertEquals(error.flags.join(" "), flags);
  assertStrictEquals(error.cause, cause);
});

Deno.test("a ToolMissingError names the program and where to get it", () => {
  const error = new ToolMissingError("read routes", "ip", "Install the package iproute2");
  assert(error instanceof HoldfastError);
  assertEquals([error.name, error.code, error.tool], ["ToolMissingError", "tool-missing", "ip"]);
  assertEquals(error.message, 'Cannot read routes: the program "ip" was not found');
  assertEquals(error.hint, "Install the package iproute2");
});

Deno.test("an error that nobody catches shows its class, its message and its fields", () => {
  const shown = Deno.inspect(new PermissionError("read routes", ["--allow-run=ip"]));
  assert(shown.startsWith("PermissionError: Cannot read routes: permission missing, add --allow-run=ip\n"));
  assert(shown.includes('hint: "Run again with --allow-run=ip"'));
});

Deno.test("isNotCapable() knows the runtime's refusal, and tells it from the system's and from what is no error", () => {
  assert(isNotCapable(new Deno.errors.NotCapable("no")));
  assertFalse(isNotCapable(new Deno.errors.PermissionDenied("no")));
  assertFalse(isNotCapable({ name: "NotCapable" }));
  assertFalse(isNotCapable(undefined));
});
