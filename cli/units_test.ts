import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatDuration, parseCount, parseDuration, parseSize } from "./units.ts";

const value = (text: string): number | string => {
  const parsed = parseDuration(text);
  return parsed.ok ? parsed.value : parsed.why;
};

Deno.test("a duration is a number and a unit", () => {
  assertEquals(value("500ms"), 500);
  assertEquals(value("30s"), 30_000);
  assertEquals(value("1.5s"), 1500);
  assertEquals(value("2m"), 120_000);
  assertEquals(value("1h"), 3_600_000);
  assertEquals(value("0s"), 0);
  assertEquals(value("24d"), 2_073_600_000);
});

Deno.test("a duration without unit, with a wrong one or beyond the runtime's timers is told", () => {
  assertEquals(value("30"), '"30" has no unit');
  for (const text of ["", "s", "-1s", "1w", "1 s", "1e3s", "1s2", "Infinity", "1constructor", "30S"]) {
    assertEquals(value(text), `"${text}" is not a duration`, text);
  }
  assertEquals(value("25d"), '"25d" is more than 24 days');
});

Deno.test("a size is a number and a unit of bytes", () => {
  assertEquals(parseSize("4MiB"), { ok: true, value: 4_194_304 });
  assertEquals(parseSize("1kB"), { ok: true, value: 1000 });
  assertEquals(parseSize("512B"), { ok: true, value: 512 });
  assertEquals(parseSize("4"), { ok: false, why: '"4" has no unit', hint: 'Did you mean "4MiB"?' });
  assertEquals(parseSize("4Mb").ok, false);
});

Deno.test("a count is digits alone", () => {
  assertEquals(parseCount("12"), { ok: true, value: 12 });
  for (const text of ["", "-1", "1.5", "0x10", "1e3", "99999999999999999"]) {
    assertEquals(parseCount(text).ok, false, text);
  }
});

Deno.test("a duration is written the way people say it", () => {
  const cases: [number, string][] = [
    [0, "0.0s"],
    [349, "0.3s"],
    [9949, "9.9s"],
    [9950, "10s"],
    [59_499, "59s"],
    [59_500, "1m 0s"],
    [200_000, "3m 20s"],
    [3_599_999, "1h 0m"],
    [7_500_000, "2h 5m"],
    [349_200_000, "4d 1h"],
  ];
  for (const [milliseconds, text] of cases) assertEquals(formatDuration(milliseconds), text);
});

Deno.test("reading whole units gives back what was written, whatever the number", () => {
  fc.assert(fc.property(fc.nat(2_000_000_000), (n) => {
    assertEquals(parseDuration(`${n}ms`), { ok: true, value: n });
  }));
});
