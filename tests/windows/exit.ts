/** Run under Wine: ends in one of several ways while a wait is pending. */

import { systemClock } from "../../internal/clock.ts";
import { openWindowsSource } from "../../watch/_source_windows.ts";
import { Ears, notifying } from "./_notifying.ts";

const [way = "", wait = ""] = Deno.args;
const windows = notifying();
const ears = new Ears();
const source = await openWindowsSource(ears, systemClock, {
  acquire: windows.acquire,
  internals: wait === "blocked",
});
windows.fire();
await ears.heard(1);
console.log(JSON.stringify({ hints: ears.hints, failures: ears.failures }));
if (way === "exit") Deno.exit(7);
if (way === "error") throw new Error("on purpose");
if (way === "close") await source[Symbol.asyncDispose]();
// "end": nothing is left to do, and the source alone must not keep the process alive.
