/** What a scenario of the catalogue is. */

import type { ScenarioId } from "./ids.ts";

/**
 * How a scenario is known: `provoked`: a test brings it about for real, on Linux; `simulated`: a test brings it about with
 * clocks and clients that are made up; `table`: tests hold its codes and texts against the tables of {@linkcode classify};
 * `documented`: the makers of systems and protocols say so.
 */
export type ScenarioProof = "provoked" | "simulated" | "table" | "documented";

/** What part of the way a scenario belongs to. */
export type ScenarioGroup =
  | "link"
  | "connecting"
  | "established"
  | "servers"
  | "names"
  | "tls"
  | "http"
  | "udp"
  | "host";

/** A test that brings a scenario about, in the repository of this package. */
export interface ScenarioTest {
  /** The file, from the root of the repository. */
  readonly file: string;
  /** The name of the test. */
  readonly name: string;
}

/** What is written about a scenario by hand. */
export interface ScenarioText {
  /** Its name, for example `"port-closed"`. */
  readonly id: ScenarioId;
  /** What it is, in a few words. */
  readonly title: string;
  /** What a person or a program sees: error texts, codes, how long it takes. */
  readonly symptom: string;
  /** Why it happens. */
  readonly cause: string;
  /** How a program or a person can be sure that it is this. */
  readonly detection: string;
  /** What to do, and which part of this package does it. */
  readonly remedy: string;
  /** The remedy in TypeScript, complete with its imports. */
  readonly code: string;
  /** Codes and pieces of messages to find it by; letters count the same in upper and lower case. */
  readonly searchTerms: readonly string[];
  /** How it is known. */
  readonly proof: ScenarioProof;
}

/** A way in which networking fails. */
export interface Scenario extends ScenarioText {
  /** Its number in the catalogue, for example `"F16"`. */
  readonly number: string;
  /** The part of the way that it belongs to. */
  readonly group: ScenarioGroup;
  /** The test that brings it about, or `null` where none does. */
  readonly test: ScenarioTest | null;
}
