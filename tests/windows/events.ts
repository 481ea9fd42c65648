/** Run under Wine: the way of an event, from a call back to a hint, and from the registry to a hint. */

import { openWindowsSource } from "../../watch/_source_windows.ts";
import { systemClock } from "../../internal/clock.ts";
import { Ears, notifying } from "./_notifying.ts";

const KEY = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces";

async function reg(...args: readonly string[]): Promise<void> {
  const { code } = await new Deno.Command("reg.exe", { args: [...args], stdout: "null", stderr: "null" })
    .output();
  if (code !== 0) throw new Error(`reg ${args.join(" ")}: exit code ${code}`);
}

await reg("add", KEY, "/f");
const told = [];
for (const internals of [true, false]) {
  const windows = notifying();
  const ears = new Ears();
  const source = await openWindowsSource(ears, systemClock, { acquire: windows.acquire, internals });
  // A second one waits with the first.
  const other = new Ears();
  const second = await openWindowsSource(other, systemClock, { acquire: windows.acquire, internals });
  const registered = windows.registered;
  const latencies: number[] = [];
  for (let i = 1; i <= 5; i++) {
    const before = performance.now();
    windows.fire();
    await Promise.all([ears.heard(i), other.heard(i)]);
    latencies.push(performance.now() - before);
  }
  // Each registry notification is for one change: the second tells that it was asked for again.
  const dns = [];
  for (let i = 0; i < 2; i++) {
    const before = ears.hints;
    await reg(
      "add",
      `${KEY}\\{holdfast}`,
      "/v",
      "NameServer",
      "/d",
      `192.0.2.${i}${internals ? 1 : 2}`,
      "/f",
    );
    await ears.heard(before + 1);
    dns.push(ears.hints > before);
  }
  await second[Symbol.asyncDispose]();
  const kept = windows.registered;
  const slept = source.sleepClock?.();
  await source[Symbol.asyncDispose]();
  told.push({
    internals,
    registered,
    kept,
    left: windows.registered,
    latencies,
    dns,
    slept,
    failures: [...ears.failures, ...other.failures],
  });
}
await reg("delete", `${KEY}\\{holdfast}`, "/f");
console.log(JSON.stringify(told));
