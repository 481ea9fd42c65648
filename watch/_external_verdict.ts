/** What follows from the servers' answers: the address most agree on, and how a NAT on the way maps. */

import type {
  ExternalAgreement,
  ExternalFamilyResult,
  ExternalMapping,
  ExternalServerOutcome,
} from "./external.ts";
import type { Endpoint } from "./_stun.ts";
import type { Family } from "./state.ts";

/** A mapped address and who saw it. */
export interface Sighting {
  /** The server's own address. */
  readonly from: Pick<Endpoint, "address" | "port">;
  /** What it saw. */
  readonly mapped: Pick<Endpoint, "address" | "port">;
}

/** All that came of asking one family. */
export interface FamilyAnswer {
  /** The family. */
  readonly family: Family;
  /** One outcome per server, in the order of the options. */
  readonly outcomes: readonly ExternalServerOutcome[];
  /** The answers, in the order of the options. */
  readonly sightings: readonly Sighting[];
  /** What the only server saw from its second address (RFC 5780), or `null`. */
  readonly second: Sighting | null;
  /** Where the socket was bound. */
  readonly local: ExternalFamilyResult["local"];
}

/** The result of one family; `null` when nobody has answered. */
export function judge(answer: FamilyAnswer): ExternalFamilyResult | null {
  const { sightings, second, local } = answer;
  const groups = Map.groupBy(sightings, ({ mapped }) => mapped.address).values();
  // Of equals the first stays first: the sort is stable.
  const [winners] = [...groups].sort((a, b) => b.length - a.length);
  const first = winners?.[0];
  if (!winners || !first) return null;
  const agreement = agreementOf(winners.length, sightings.length);
  // Whoever is outvoted on the address lies or is stale, and says nothing about our NAT.
  const believed = agreement === "disputed" ? sightings : winners;
  return {
    address: first.mapped.address,
    port: first.mapped.port,
    agreed: winners.length,
    answered: sightings.length,
    agreement,
    mapping: mappingOf(second ? [...believed, second] : believed),
    local,
  };
}

function agreementOf(agreed: number, answered: number): ExternalAgreement {
  if (answered === 1) return "single";
  return agreed >= 2 && agreed * 2 > answered ? "confirmed" : "disputed";
}

function mappingOf(sightings: readonly Sighting[]): ExternalMapping {
  const mapped = new Set(sightings.map(({ mapped }) => `${mapped.address} ${mapped.port}`));
  if (mapped.size > 1) return "endpoint-dependent";
  // The same mapping for two ports of one address says nothing: it may depend on the address.
  return new Set(sightings.map(({ from }) => from.address)).size > 1 ? "endpoint-independent" : "unknown";
}
