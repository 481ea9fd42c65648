import { assert, assertEquals } from "@std/assert";
import { constants } from "node:os";
import { codeEntry, codeOfClass, codeOfNumber, CODES, namedVerdict, type NumberedOs } from "./_codes.ts";
import { CODE_NAMES } from "./_code_names.ts";
import { verdictOf } from "./_verdicts.ts";
import { VERDICT_ROWS } from "./_verdict_rows.ts";
import type { VerdictName } from "./_verdict_names.ts";
import { classify } from "./classify.ts";
import { SCENARIO_IDS } from "./scenarios/ids.ts";

/** As the systems' headers have them: errno.h of Linux and macOS, winsock2.h and winerror.h. */
const NUMBERS: readonly (readonly [code: string, linux: number[], darwin: number[], windows: number[]])[] = [
  ["ECONNREFUSED", [111], [61], [10061, 1225]],
  ["ECONNRESET", [104], [54], [10054, 64]],
  ["ECONNABORTED", [103], [53], [10053, 1236]],
  ["EPIPE", [32], [32], [10058, 232, 233]],
  ["ENOTCONN", [107], [57], [10057]],
  ["ENETRESET", [102], [52], [10052]],
  ["ETIMEDOUT", [110], [60], [10060, 121]],
  ["ENETUNREACH", [101], [51], [10051, 1231]],
  ["ENETDOWN", [100], [50], [10050]],
  ["EHOSTUNREACH", [113], [65], [10065, 1232]],
  ["EHOSTDOWN", [112], [64], [10064]],
  ["EADDRNOTAVAIL", [99], [49], [10049]],
  ["EADDRINUSE", [98], [48], [10048, 1227]],
  ["EACCES", [13], [13], [10013]],
  ["EPERM", [1], [1], [5]],
  ["EMFILE", [24], [24], [10024, 4]],
  ["ENFILE", [23], [23], []],
  ["ENOBUFS", [105], [55], [10055]],
  ["ENOMEM", [12], [12], [8, 14]],
  ["EMSGSIZE", [90], [40], [10040]],
  ["EINVAL", [22], [22], [10022]],
  ["ENODEV", [19], [19], []],
  ["EAFNOSUPPORT", [97], [47], [10047]],
  ["EAGAIN", [11], [35], [10035]],
  ["ENOENT", [2], [2], [2]],
  ["EINTR", [4], [4], [10004]],
  ["ECANCELED", [125], [89], [995]],
  ["EBADF", [9], [9], [6, 10009]],
  ["ENOTFOUND", [], [], [11001]],
  ["EAI_AGAIN", [], [], [11002]],
  ["ENODATA", [], [], [11004]],
];

for (const [column, os] of (["linux", "darwin", "windows"] as const).entries()) {
  Deno.test(`classify() reads each number of ${os} from a message without code and class`, () => {
    for (const [code, ...columns] of NUMBERS) {
      for (const number of columns[column] ?? []) {
        const failure = classify(new Error(`it failed (os error ${number})`), { os, operation: "connect" });
        assertEquals(failure.code, code, `${number}`);
        assert(failure.kind !== "unknown", code);
        assertEquals(classify({ message: "", errno: -number }, { os }).code, code, `errno ${number}`);
      }
    }
  });

  Deno.test(`the numbers of ${os} stand for one code each`, () => {
    const all = Object.values(CODES).flatMap(({ numbers }) => numbers[os as NumberedOs]);
    assertEquals(new Set(all).size, all.length);
  });
}

Deno.test({
  name: "the numbers of Linux are those of this machine",
  ignore: Deno.build.os !== "linux",
  fn() {
    const here: Readonly<Record<string, number>> = constants.errno;
    const known = Object.entries(CODES).filter(([code, { numbers }]) =>
      here[code] !== undefined && numbers.linux.length > 0
    );
    assert(known.length > 20);
    for (const [code, { numbers }] of known) assertEquals(numbers.linux[0], here[code], code);
  },
});

Deno.test("systems without a table of their own are read by their relatives' or by all of them", () => {
  assertEquals(codeOfNumber(111, "android"), "ECONNREFUSED");
  assertEquals(codeOfNumber(61, "freebsd"), "ECONNREFUSED");
  assertEquals(codeOfNumber(10061, undefined), "ECONNREFUSED");
  assertEquals(codeOfNumber(10061, "linux"), "ECONNREFUSED");
  assertEquals(codeOfNumber(64, "linux"), "EHOSTDOWN");
  assertEquals(codeOfNumber(123_456, "linux"), undefined);
});

Deno.test("names that every object has are no codes", () => {
  for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
    assertEquals([codeEntry(name), namedVerdict(name), codeOfClass(name)], [undefined, undefined, undefined]);
    assertEquals(
      classify(Object.assign(new Error("x"), { name, code: name, syscall: name })).kind,
      "unknown",
    );
  }
});

Deno.test("every class of the runtime's errors is known, but for those that files and programs give", () => {
  const others = new Set([
    "AlreadyExists",
    "FilesystemLoop",
    "Http",
    "InvalidData",
    "IsADirectory",
    "NotADirectory",
  ]);
  const strange = Object.entries(Deno.errors).filter(([name, Class]) =>
    !others.has(name) && classify(new Class("")).kind === "unknown" &&
    classify(new Class("")).retry !== "never"
  );
  assertEquals(strange.map(([name]) => name), []);
});

Deno.test("every verdict is whole, and those that are no scenario say so", () => {
  for (const name of Object.keys(VERDICT_ROWS) as VerdictName[]) {
    const { scenario, kind, where, retry, sent, hint } = verdictOf(name);
    if ((SCENARIO_IDS as readonly string[]).includes(name)) assertEquals(scenario, name);
    for (const word of [kind, where, retry, sent]) assert(word !== undefined, name);
    assert(/^[A-Z].{20,}[^.]$/.test(hint), hint);
  }
  for (const verdict of Object.values(CODE_NAMES)) assert(Object.hasOwn(VERDICT_ROWS, verdict), verdict);
});
