import { assertEquals } from "@std/assert";
import { type ExternalLine, formatExternal } from "./commands/external.ts";
import { styleFor } from "./style.ts";

const line: ExternalLine = {
  type: "external",
  v4: {
    address: "192.0.2.7",
    port: 40_000,
    agreed: 2,
    answered: 3,
    agreement: "confirmed",
    mapping: "endpoint-independent",
    local: { address: null, port: 40_000 },
  },
  v6: null,
  servers: [
    {
      server: "a.example:3478",
      family: 4,
      endpoint: "198.51.100.1:3478",
      outcome: "answered",
      address: "192.0.2.7",
      port: 40_000,
      elapsed: 12.4,
      software: "evil\x1b[2J",
    },
    {
      server: "b.example:3478",
      family: 6,
      endpoint: null,
      outcome: "failed",
      reason: "unresolved",
      detail: "no such name",
    },
  ],
};

Deno.test("the public address is told with how sure it is, and what each server said, made harmless", () => {
  assertEquals(formatExternal(line, [4, 6], styleFor(false)), [
    "IPv4  192.0.2.7:40000  confirmed (2 of 3 servers)  endpoint-independent mapping",
    "IPv6  no answer",
    "",
    "SERVER          BY    SAYS",
    "a.example:3478  IPv4  192.0.2.7:40000 after 12 ms (evil\\u001b[2J)",
    "b.example:3478  IPv6  unresolved: no such name",
  ]);
});

Deno.test("one server alone is no confirmation, and a family that was not asked for is not shown", () => {
  const v4 = line.v4 &&
    { ...line.v4, agreed: 1, answered: 1, agreement: "single", mapping: "unknown" } as const;
  assertEquals(
    formatExternal({ ...line, v4 }, [4], styleFor(false))[0],
    "IPv4  192.0.2.7:40000  single (one server)",
  );
});

Deno.test("a family that no server has an address of is told apart from one without an answer", () => {
  const servers = line.servers.filter(({ family }) => family === 4);
  assertEquals(formatExternal({ ...line, servers }, [4, 6], styleFor(false))[1], "IPv6  no server");
});
