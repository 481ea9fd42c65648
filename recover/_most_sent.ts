/** What several attempts together may have brought to the other end. */

import type { FailureSent } from "./failure.ts";

/** The most that any of them has sent: one that has is enough for something to happen twice. */
export function mostSent(all: readonly FailureSent[]): FailureSent {
  return (["yes", "maybe"] as const).find((sent) => all.includes(sent)) ?? "no";
}
