import { assertEquals } from "@std/assert";
import { parseResolvConf, readDns, resolveTarget, watchedNames } from "./_resolv.ts";

Deno.test("parseResolvConf() reads servers in order and the search list", () => {
  const text = "# made by hand\nnameserver 192.0.2.1\n\nnameserver 2001:db8::1\nsearch a.example b.example\n";
  assertEquals(parseResolvConf(text), {
    servers: ["192.0.2.1", "2001:db8::1"],
    search: ["a.example", "b.example"],
  });
});

Deno.test("of domain and search lines the last one wins", () => {
  assertEquals(parseResolvConf("search a b\ndomain c d").search, ["c"]);
  assertEquals(parseResolvConf("domain c\nsearch a b").search, ["a", "b"]);
  assertEquals(parseResolvConf("search a\nsearch").search, ["a"]);
});

Deno.test("blanks, tabs, comments, zones and foreign line ends are all in order", () => {
  const text =
    "\tnameserver\t fe80::1%eth0 # home\r\n;nameserver 192.0.2.9\r\nnameserver 192.0.2.1;x\r\nsearch a\tb ; c";
  assertEquals(parseResolvConf(text), { servers: ["fe80::1%eth0", "192.0.2.1"], search: ["a", "b"] });
});

Deno.test("what is no address is no server, and unknown words are passed over", () => {
  const text =
    "nameserver dns.example\nnameserver\nnameserver 1.2.3\noptions ndots:5\nnameserver: 192.0.2.1\nNAMESERVER 192.0.2.1";
  assertEquals(parseResolvConf(text), { servers: [], search: [] });
  assertEquals(parseResolvConf(""), { servers: [], search: [] });
});

Deno.test("of each list 64 entries are taken", () => {
  const text = "nameserver 192.0.2.1\n".repeat(100) + `search${" a".repeat(100)}\n`;
  const { servers, search } = parseResolvConf(text);
  assertEquals([servers.length, search.length], [64, 64]);
});

Deno.test("a comment that does not end its line ends what counts of it", () => {
  assertEquals(parseResolvConf("search a #b\rc\nnameserver 192.0.2.1%x\u2028y"), {
    servers: ["192.0.2.1%x"],
    search: ["a"],
  });
});

Deno.test("a line of a million comment signs takes no longer than any other", () => {
  const text = `nameserver 192.0.2.1 ${"#".repeat(1_000_000)}\rend`;
  const start = performance.now();
  assertEquals(parseResolvConf(text).servers, ["192.0.2.1"]);
  // By a pattern that begins anew at each sign it is half a trillion steps.
  assertEquals(performance.now() - start < 1000, true);
});

Deno.test("readDns() looks behind the stub of systemd-resolved, and nowhere else", () => {
  const files = (main: string | null, behind: string | null) => (path: string) =>
    path === "/etc/resolv.conf" ? main : path === "/run/systemd/resolve/resolv.conf" ? behind : "";
  const stub = "nameserver 127.0.0.53\nsearch a";
  assertEquals(readDns(files(stub, "nameserver 192.0.2.1"))?.servers, ["192.0.2.1"]);
  assertEquals(
    readDns(files("nameserver 127.0.0.54\nnameserver 127.0.0.53", "nameserver 192.0.2.1"))?.servers,
    [
      "192.0.2.1",
    ],
  );
  assertEquals(readDns(files(stub, null)), { servers: ["127.0.0.53"], search: ["a"] });
  assertEquals(
    readDns(files("nameserver 192.0.2.7\nnameserver 127.0.0.53", "nameserver 192.0.2.1"))?.servers,
    [
      "192.0.2.7",
      "127.0.0.53",
    ],
  );
  assertEquals(readDns(files("", "nameserver 192.0.2.1")), { servers: [], search: [] });
  assertEquals(readDns(files(null, "nameserver 192.0.2.1")), null);
});

Deno.test("watchedNames() names directories, and the files in them that matter", () => {
  const plain = new Map([["/etc", new Set(["resolv.conf"])], [
    "/run/systemd/resolve",
    new Set(["resolv.conf"]),
  ]]);
  assertEquals(watchedNames(null), plain);
  assertEquals(
    watchedNames("/run/systemd/resolve/stub-resolv.conf").get("/run/systemd/resolve"),
    new Set([
      "resolv.conf",
      "stub-resolv.conf",
    ]),
  );
  assertEquals(watchedNames("/resolv").get("/"), new Set(["resolv"]));
});

Deno.test("resolveTarget() makes absolute paths of what stands in a link", () => {
  const table: readonly [string, string][] = [
    ["/run/x", "/run/x"],
    ["x", "/etc/x"],
    ["./x", "/etc/x"],
    ["../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/stub-resolv.conf"],
    ["../../../x", "/x"],
    ["/run//a/../x/", "/run/x"],
    ["", "/etc"],
  ];
  for (const [target, path] of table) assertEquals(resolveTarget("/etc/resolv.conf", target), path);
});
