/** The sabotages: one line broken on purpose, and the tests that must notice. */

import { CARRIERS } from "./_sabotages_carriers.ts";
import { INTERNAL } from "./_sabotages_internal.ts";
import { OTHERS } from "./_sabotages_others.ts";
import { PIPES } from "./_sabotages_pipes.ts";
import { PIPES_MORE } from "./_sabotages_pipes_more.ts";
import { POLICIES } from "./_sabotages_policies.ts";
import { PUSH } from "./_sabotages_push.ts";
import { RECOVER } from "./_sabotages_recover.ts";
import { SESSION_CORE } from "./_sabotages_session_core.ts";
import { SESSIONS } from "./_sabotages_sessions.ts";
import { SESSION_RUNTIME } from "./_sabotages_session_runtime.ts";
import { TUNNEL } from "./_sabotages_tunnel.ts";
import { SIGNAL } from "./_sabotages_signal.ts";
import { SYSTEMS } from "./_sabotages_systems.ts";
import { WATCH } from "./_sabotages_watch.ts";

/** A sabotage of one line. */
export interface Sabotage {
  /** What is broken, in words. */
  readonly name: string;
  /** The file it is made in. */
  readonly file: string;
  /** The text to replace; it stands in the file exactly once. */
  readonly find: string;
  /** What takes its place. */
  readonly replace: string;
  /** The test files that must turn red. */
  readonly test: readonly string[];
  /** Only the tests of these files whose names contain this. */
  readonly filter?: string;
}

/** All sabotages. */
export const SABOTAGES: readonly Sabotage[] = [
  ...INTERNAL,
  ...WATCH,
  ...SYSTEMS,
  ...POLICIES,
  ...RECOVER,
  ...PIPES,
  ...PIPES_MORE,
  ...CARRIERS,
  ...PUSH,
  ...SESSIONS,
  ...SESSION_CORE,
  ...SIGNAL,
  ...TUNNEL,
  ...SESSION_RUNTIME,
  ...OTHERS,
];
