import { assertEquals } from "@std/assert";
import { parseHosts } from "./_hosts.ts";

const HOSTS = `# hosts
127.0.0.1\tlocalhost
::1 localhost ip6-localhost # comment
10.0.0.5  db.example.com DB
10.0.0.6 db
fe80::1%eth0 printer
300.0.0.1 bad
nonsense
`;

Deno.test("parseHosts() finds names and their aliases in any case, per family", () => {
  assertEquals(parseHosts(HOSTS, "localhost", 4), ["127.0.0.1"]);
  assertEquals(parseHosts(HOSTS, "LocalHost.", 16), ["::1"]);
  assertEquals(parseHosts(HOSTS, "db", 4), ["10.0.0.5", "10.0.0.6"]);
  assertEquals(parseHosts(HOSTS, "db.example.com", 16), []);
  assertEquals(parseHosts(HOSTS, "printer", 16), ["fe80::1%eth0"]);
});

Deno.test("parseHosts() finds nothing in comments, broken lines and other files", () => {
  for (const name of ["hosts", "comment", "bad", "nonsense", "", "127.0.0.1"]) {
    assertEquals(parseHosts(HOSTS, name, 4), [], name);
  }
  assertEquals(parseHosts("", "localhost", 4), []);
});
