import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { seed } from "../tests/_require.ts";
import { MAX_RETRY_AFTER, parseRetryAfter } from "./_answers.ts";
import { classify } from "./classify.ts";
import type { Failure } from "./failure.ts";

const show = ({ scenario, kind, where, retry, sent }: Failure): string =>
  `${scenario ?? "-"} ${kind} ${where} ${retry} ${sent}`;

const STATUSES: readonly (readonly [number, string])[] = [
  [200, "- unknown config never yes"],
  [302, "- protocol config never yes"],
  [400, "- protocol config never yes"],
  [401, "- permission config never yes"],
  [403, "- permission config never yes"],
  [404, "- protocol config never yes"],
  [407, "proxy-refuses permission config never no"],
  [408, "- timeout remote later yes"],
  [425, "overloaded exhausted remote later yes"],
  [429, "overloaded exhausted remote later yes"],
  [500, "- protocol remote later yes"],
  [501, "- protocol config never yes"],
  [502, "proxy-refuses protocol remote later yes"],
  [503, "overloaded exhausted remote later yes"],
  [504, "proxy-refuses protocol remote later yes"],
  [511, "captive-portal protocol path after-change yes"],
  [599, "- protocol remote later yes"],
];

Deno.test("classify() knows what each status of HTTP means, in an answer and in an error that carries one", () => {
  for (const [status, expected] of STATUSES) {
    assertEquals(show(classify(new Response(null, { status }))), expected);
    if (status < 400) continue;
    assertEquals(show(classify(Object.assign(new Error("no"), { status }))), expected);
    assertEquals(show(classify(Object.assign(new Error("no"), { statusCode: status }))), expected);
    const response = new Response(null, { status });
    assertEquals(show(classify(Object.assign(new Error("no"), { response }))), expected);
    const plain = { status, headers: { "retry-after": "7" } };
    const error = Object.assign(new Error(`status code ${status}`), { response: plain });
    assertEquals([show(classify(error)), classify(error).retryAfter], [expected, 7000]);
  }
});

Deno.test("classify() does not take another program's exit status for an answer", () => {
  assertEquals(classify(Object.assign(new Error("it ended"), { status: 1 })).kind, "unknown");
  assertEquals(classify(Object.assign(new Error("it ended"), { status: 302 })).retry, "later");
});

const retryAfter = (value: string, date?: string): number | null =>
  classify(new Response(null, { status: 503, headers: { "retry-after": value, ...date && { date } } }))
    .retryAfter;

Deno.test("classify() reads how long the other end asks to be left alone", () => {
  assertEquals(retryAfter("3"), 3000);
  assertEquals(retryAfter("0"), 0);
  assertEquals(retryAfter(" 120 "), 120_000);
  const date = "Wed, 21 Oct 2015 07:28:00 GMT";
  assertEquals(retryAfter("Wed, 21 Oct 2015 07:28:30 GMT", date), 30_000, "by the server's own clock");
  assertEquals(retryAfter("Wed, 21 Oct 2015 07:27:30 GMT", date), 0, "in the past");
  assertEquals(retryAfter("Wed, 21 Oct 2015 07:28:30 GMT"), 0, "by ours");
  assertEquals(classify(new Response(null, { status: 503 })).retryAfter, null);
});

Deno.test("classify() waits a day at most, and takes nothing else for a time", () => {
  assertEquals(retryAfter("86401"), MAX_RETRY_AFTER);
  assertEquals(retryAfter("9".repeat(60)), MAX_RETRY_AFTER);
  assertEquals(retryAfter("Fri, 31 Dec 9999 23:59:59 GMT"), MAX_RETRY_AFTER);
  for (
    const value of [
      "-1",
      "1.5",
      "1e9",
      "soon",
      "Infinity",
      "0x10",
      "1 2",
      "Wed, 99 Oct 2015 07:28:00 GMT",
    ]
  ) {
    assertEquals(retryAfter(value), null, value);
  }
});

Deno.test("parseRetryAfter() gives whole milliseconds from 0 to a day or nothing, whatever it is given", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((d) => d.toUTCString()),
  );
  fc.assert(
    fc.property(texts, fc.option(texts), (value, date) => {
      const wait = parseRetryAfter(value, date);
      assert(wait === null || (Number.isInteger(wait) && wait >= 0 && wait <= MAX_RETRY_AFTER));
    }),
    { seed: seed(), numRuns: 500 },
  );
});

const CLOSES: readonly (readonly [number, string])[] = [
  [0, "websocket-lost reset remote later maybe"],
  [1000, "- protocol remote never maybe"],
  [1001, "websocket-lost reset remote later maybe"],
  [1002, "- protocol remote never maybe"],
  [1005, "websocket-lost reset remote later maybe"],
  [1006, "websocket-lost reset remote later maybe"],
  [1008, "- protocol remote never maybe"],
  [1011, "websocket-lost reset remote later maybe"],
  [1012, "websocket-lost reset remote later maybe"],
  [1013, "websocket-lost reset remote later maybe"],
  [1014, "websocket-lost reset remote later maybe"],
  [1015, "- tls remote never maybe"],
  [3000, "- protocol remote never maybe"],
  [4999, "- protocol remote never maybe"],
];

Deno.test("classify() knows what each close code of WebSocket means", () => {
  for (const [code, expected] of CLOSES) {
    assertEquals(show(classify(new CloseEvent("close", { code }))), expected, `${code}`);
  }
});
