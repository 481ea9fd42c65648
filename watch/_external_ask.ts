/** Asks for the public address: what stands behind `externalAddress()`. */

import { systemClock } from "../internal/clock.ts";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { flagsOf, type Need, permissionState } from "../internal/permissions.ts";
import { FamilyQuery } from "./_external_query.ts";
import { parseServer, type ServerName } from "./_external_servers.ts";
import { judge } from "./_external_verdict.ts";
import { bindHost, hostOf } from "./_udp.ts";
import type {
  ExternalAddress,
  ExternalAddressOptions,
  ExternalFamilyResult,
  ExternalServerOutcome,
} from "./external.ts";
import type { Family } from "./state.ts";

/** See `externalAddress()`, which passes everything on to it. */
export async function askExternal(options: ExternalAddressOptions): Promise<ExternalAddress> {
  const { families = [4, 6], timeout = 3000, signal, localAddress = {}, ref = true, clock = systemClock } =
    options;
  const servers = options.servers.map(parseServer);
  if (servers.length === 0) throw new TypeError("Cannot ask for the external address: no server is given");
  if (families.length === 0) throw new TypeError("Cannot ask for the external address: no family is given");
  if (!(timeout > 0)) {
    throw new RangeError(`Cannot ask for the external address: timeout must be above 0, got ${timeout}`);
  }
  const locals = { 4: localOf(4, localAddress.v4), 6: localOf(6, localAddress.v6) };
  signal?.throwIfAborted();
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const queries = ([4, 6] as const).filter((family) => families.includes(family)).map((family) =>
    new FamilyQuery({ family, servers, localAddress: locals[family], timeout, ref, clock, signal: either })
      .run()
  );
  try {
    const answers = await Promise.all(queries);
    const outcomes = answers.flatMap(({ outcomes }) => outcomes);
    if (outcomes.every(({ endpoint }) => endpoint === null)) throw unreachable(options.servers, outcomes);
    const of = (family: Family): ExternalFamilyResult | null => {
      const answer = answers.find((answer) => answer.family === family);
      return answer ? judge(answer) : null;
    };
    return { v4: of(4), v6: of(6), servers: outcomes };
  } catch (error) {
    throw error instanceof PermissionError ? allMissing(error, servers, families, locals) : error;
  } finally {
    // When one family fails, the other must not go on by itself.
    stop.abort();
    await Promise.allSettled(queries);
  }
}

function localOf(family: Family, address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  if (parseIp(address)?.length === (family === 4 ? 4 : 16)) return address;
  throw new TypeError(
    `Cannot ask for the external address: localAddress.v${family} must be an IPv${family} address, got "${address}"`,
  );
}

/** The same error with all flags that are missing, so that nobody has to find them one by one. */
function allMissing(
  error: PermissionError,
  servers: readonly ServerName[],
  families: readonly Family[],
  locals: Readonly<Record<Family, string | undefined>>,
): PermissionError {
  const asked = servers.filter(({ literal }) => literal === null || families.includes(literal));
  const bound = families.filter((family) =>
    asked.some(({ literal }) => literal === null || literal === family)
  );
  const needs: Need[] = [
    ...bound.map((family) => ({ name: "net" as const, host: bindHost(family, locals[family]) })),
    // A name may have any addresses, and each of them has to be allowed.
    ...asked.map(({ literal, host, port }): Need =>
      literal === null ? { name: "net" } : { name: "net", host: hostOf({ address: host, port }) }
    ),
  ];
  const missing = needs.filter((need) => permissionState(need) !== "granted");
  if (missing.length === 0) return error;
  return new PermissionError("ask for the external address", flagsOf(missing), error.cause);
}

function unreachable(servers: readonly string[], outcomes: readonly ExternalServerOutcome[]): HoldfastError {
  const reasons = servers.map((server) => {
    const details = outcomes.filter((o) => o.server === server).map((o) =>
      o.outcome === "failed" ? o.detail : ""
    );
    return `${server}: ${[...new Set(details)].join(", ") || "it is an address of the other family"}`;
  });
  return new HoldfastError(`Cannot ask for the external address: ${reasons.join("; ")}`, {
    code: "external-unreachable",
    operation: "ask for the external address",
    hint: "Check the names of the servers and the resolver, or give servers by address",
  });
}
