import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { HoldfastError } from "../../internal/errors.ts";
import { PipeError } from "../pipe_error.ts";
import { reasonOfAbort, SessionLost } from "./session_lost.ts";

Deno.test("a lost session says how far each side got, why, and what to do", () => {
  const cause = new Error("below");
  const error = new SessionLost("the other end sent ABORT", {
    reason: reasonOfAbort(300),
    abortCode: 300,
    sent: 10,
    acknowledged: 4,
    received: 7,
    cause,
  });
  assertInstanceOf(error, PipeError);
  assertInstanceOf(error, HoldfastError);
  assertEquals(error.message, "Cannot go on with the session: the other end sent ABORT");
  assertEquals([error.name, error.code, error.reason, error.abortCode], [
    "SessionLost",
    "lost",
    "application",
    300,
  ]);
  assertEquals([error.sent, error.acknowledged, error.received], [10, 4, 7]);
  assertEquals([error.cause, error.failure], [cause, null]);
  assert(error.hint);
});

Deno.test("each code of ABORT has a reason, also one that is not known", () => {
  assertEquals([0, 1, 2, 3, 4, 5, 6, 255, 256, 65_535].map(reasonOfAbort), [
    ...["aborted", "violation", "resources", "expired", "reset", "internal", "internal", "internal"] as const,
    ...["application", "application"] as const,
  ]);
});
