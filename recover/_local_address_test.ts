import { assertEquals } from "@std/assert";
import { runCode } from "../tests/_code.ts";
import { TestView, viewState } from "../tests/_view.ts";
import { hasLocalAddress, isIp, localAddressOf } from "./_local_address.ts";

Deno.test("an address is the same however it is written", () => {
  assertEquals(localAddressOf("::ffff:192.0.2.7"), localAddressOf("192.0.2.7"));
  assertEquals(localAddressOf("fe80::1%eth0"), localAddressOf("fe80:0::1"));
  assertEquals([isIp("fe80::1%eth0"), isIp("192.0.2.7"), isIp("eth0"), isIp("192.0.2")], [
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("an address that never comes nor goes is none to look for", () => {
  assertEquals(
    ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "239.1.2.3", "ff02::fb", "none"].map(localAddressOf),
    Array(8).fill(null),
  );
});

Deno.test("an address is looked for in the network", () => {
  const network = new TestView(viewState("192.0.2.1", "192.0.2.7"));
  const has = (address: string): boolean => hasLocalAddress(localAddressOf(address) ?? "", network);
  assertEquals([has("192.0.2.7"), has("192.0.2.8")], [true, false]);
});

Deno.test("without the permission to look nobody is asked, and nothing is said to be gone", async () => {
  const { code, stdout, stderr } = await runCode(
    `
    import { hasLocalAddress, localAddressOf } from "#/recover/_local_address.ts";
    console.log(hasLocalAddress(localAddressOf("203.0.113.9"), undefined));
  `,
    { flags: [] },
  );
  assertEquals([code, stdout, stderr], [0, "true\n", ""]);
});
