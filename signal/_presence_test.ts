import { assertEquals } from "@std/assert";
import { BEAT, decodePresence, encodePresence, PresenceRecord } from "./_presence.ts";

const [one, two] = ["11".repeat(8), "22".repeat(8)];

Deno.test("PresenceRecord is suspect when one broker says so, offline when all do, and online when one takes it back", () => {
  const record = new PresenceRecord();
  assertEquals(record.state(0), "unknown");
  assertEquals(record.notice("here", { session: one, number: 1 }, 0, 0), "new-life");
  assertEquals(record.notice("here", { session: one, number: 2 }, 1, 0), "here");
  assertEquals(record.notice("gone", { session: one, number: 0 }, 0, 10), "gone");
  assertEquals(record.state(10), "suspect");
  assertEquals(
    record.notice("gone", { session: one, number: 0 }, 2, 10),
    "old",
    "it never was at that broker",
  );
  assertEquals(record.notice("gone", { session: one, number: 0 }, 1, 10), "gone");
  assertEquals(record.state(10), "offline");
  assertEquals(record.notice("here", { session: one, number: 3 }, 0, 20), "here");
  assertEquals(record.state(20), "suspect");
  record.forget(1);
  assertEquals(record.state(20), "online");
});

Deno.test("PresenceRecord takes no recorded notice for a new one, of this life or an earlier one", () => {
  const record = new PresenceRecord();
  record.notice("here", { session: one, number: 5 }, 0, 0);
  assertEquals(record.notice("bye", { session: one, number: 4 }, 0, 0), "old");
  assertEquals(record.notice("here", { session: two, number: 1 }, 0, 0), "new-life");
  assertEquals(record.notice("here", { session: one, number: 5 }, 0, 0), "old");
  assertEquals(record.notice("gone", { session: one, number: 0 }, 0, 0), "old");
  assertEquals([record.state(0), record.session], ["online", two]);
  // Two processes of one identity: what was not heard yet is no recording.
  assertEquals(record.notice("here", { session: one, number: 6 }, 0, 0), "new-life");
});

Deno.test("PresenceRecord notices silence by itself, and a goodbye at once", () => {
  const record = new PresenceRecord();
  record.notice("here", { session: one, number: 1 }, 0, 0);
  const first = record.nextChange(0);
  assertEquals([record.state(first - 1), record.state(first)], ["online", "suspect"]);
  const second = first + record.nextChange(first);
  assertEquals([record.state(second - 1), record.state(second)], ["suspect", "offline"]);
  assertEquals(record.nextChange(second), Infinity);
  record.heard(second);
  assertEquals(record.state(second + BEAT), "online");
  record.notice("bye", { session: one, number: 2 }, 0, second);
  assertEquals(record.state(second), "offline");
});

Deno.test("notices of presence are read as they were written, and nothing else is", () => {
  for (const kind of ["here", "gone", "bye"] as const) {
    assertEquals(decodePresence(encodePresence(kind)), kind);
  }
  for (const bytes of [[], [0], [4], [255, 1]]) {
    assertEquals(decodePresence(Uint8Array.from(bytes)), undefined);
  }
});
