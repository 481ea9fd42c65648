import { assertEquals, assertThrows } from "@std/assert";
import { dialMemory } from "./dial_memory.ts";

Deno.test("dialMemory() keeps what worked per network and target, the latest first", () => {
  const memory = dialMemory();
  memory.worked("home", "a:1", "192.0.2.1");
  memory.worked("home", "a:1", "192.0.2.2");
  memory.worked("home", "a:1", "192.0.2.1");
  assertEquals(memory.recall("home", "a:1"), { family: null, addresses: ["192.0.2.1", "192.0.2.2"] });
  assertEquals(memory.recall("home", "b:1").addresses, []);
  assertEquals(memory.recall("office", "a:1").addresses, []);
});

Deno.test("dialMemory() forgets what failed, and everything when told to", () => {
  const memory = dialMemory();
  memory.worked("home", "a:1", "192.0.2.1");
  memory.worked("home", "a:1", "192.0.2.2");
  memory.failed("home", "a:1", "192.0.2.2");
  assertEquals(memory.recall("home", "a:1").addresses, ["192.0.2.1"]);
  memory.failed("home", "a:1", "192.0.2.1");
  memory.failed("home", "unknown:1", "192.0.2.1");
  assertEquals(memory.recall("home", "a:1").addresses, []);
  memory.prefer("home", 4);
  assertEquals(memory.recall("home", "c:1").family, 4);
  assertEquals(memory.recall("office", "c:1").family, null);
  memory.clear();
  assertEquals(memory.recall("home", "c:1").family, null);
});

Deno.test("dialMemory() holds no more than it may, and loses what was used longest ago", () => {
  const memory = dialMemory({ capacity: 2 });
  memory.worked("home", "a:1", "192.0.2.1");
  memory.worked("home", "b:1", "192.0.2.2");
  memory.recall("home", "a:1");
  memory.worked("home", "c:1", "192.0.2.3");
  const known = ["a:1", "b:1", "c:1"].map((target) => memory.recall("home", target).addresses.length);
  assertEquals(known, [1, 0, 1]);
  for (let n = 0; n < 100; n++) memory.worked("home", "a:1", `192.0.2.${n}`);
  assertEquals(memory.recall("home", "a:1").addresses.length, 8);
  assertThrows(
    () => dialMemory({ capacity: 0 }),
    RangeError,
    "capacity must be a whole number from 1, got 0",
  );
});
