/** `holdfast external --stun SERVER...`. */

import {
  externalAddress,
  type ExternalFamilyResult,
  type ExternalServerOutcome,
} from "../../watch/external.ts";
import type { Family } from "../../watch/state.ts";
import { columns } from "../columns.ts";
import { formatEndpoint } from "../endpoint.ts";
import { EXIT } from "../failure.ts";
import { familyName } from "../format_state.ts";
import type { Context, Line } from "../spec.ts";
import { parseStunServers } from "../stun_servers.ts";
import { allPrintable, type Style } from "../style.ts";
import { formatDuration } from "../units.ts";
import { UsageError } from "../usage_error.ts";

/** What the servers said; the line of `--json`. */
export interface ExternalLine extends Line {
  /** The tag. */
  readonly type: "external";
  /** By IPv4, or `null` where no server has answered. */
  readonly v4: ExternalFamilyResult | null;
  /** By IPv6, or `null` where no server has answered. */
  readonly v6: ExternalFamilyResult | null;
  /** What each server had to say. */
  readonly servers: readonly ExternalServerOutcome[];
}

/** Asks the servers, and fails when none has answered. */
export async function run(context: Context): Promise<number> {
  const { args, values, json, signal, style, emit, print, complain } = context;
  const servers = parseStunServers([...values.list("stun"), ...args]);
  if (servers.length === 0) {
    throw new UsageError(
      'Cannot run "holdfast external": no server is given',
      'Write "--stun HOST"; it may be given several times',
    );
  }
  const timeout = values.number("timeout") ?? 3000;
  const family = values.family();
  const families: readonly Family[] = family === undefined ? [4, 6] : [family];
  const found = await externalAddress({ servers, families, timeout, signal });
  const line: ExternalLine = { type: "external", ...found };
  if (json) await emit(line);
  else await print(formatExternal(line, families, style).join("\n"));
  if (found.v4 || found.v6) return EXIT.fine;
  await complain(`Cannot find the public address: no server has answered within ${formatDuration(timeout)}`);
  const silent = found.servers.some((server) => server.outcome === "failed" && server.reason === "silent");
  return silent ? EXIT.timeout : EXIT.failed;
}

/**
 * What the servers said as text: an address per family, then each server.
 *
 * @param line What they said; texts from outside are made harmless.
 * @param families The families that were asked for.
 * @param style Colours.
 * @returns The lines.
 */
export function formatExternal(line: ExternalLine, families: readonly Family[], style: Style): string[] {
  const { v4, v6, servers } = allPrintable(line);
  const rows = families.map((family) => {
    const result = family === 4 ? v4 : v6;
    const asked = servers.some((server) => server.family === family);
    return [
      style.dim(familyName(family)),
      ...(result ? resultCells(result, style) : [asked ? "no answer" : "no server"]),
    ];
  });
  return [
    ...columns(rows),
    "",
    ...columns([
      ["SERVER", "BY", "SAYS"].map(style.dim),
      ...servers.map((server) => serverCells(server, style)),
    ]),
  ];
}

function resultCells(
  { address, port, agreed, answered, agreement, mapping }: ExternalFamilyResult,
  style: Style,
): string[] {
  const paint = { confirmed: style.good, single: style.changed, disputed: style.bad }[agreement];
  const votes = agreement === "single" ? "one server" : `${agreed} of ${answered} servers`;
  const words = mapping === "unknown" ? "" : `${mapping} mapping`;
  return [formatEndpoint({ hostname: address, port }), paint(`${agreement} (${votes})`), words];
}

function serverCells(server: ExternalServerOutcome, style: Style): string[] {
  const says = server.outcome === "answered"
    ? `${formatEndpoint({ hostname: server.address, port: server.port })} after ${
      Math.round(server.elapsed)
    } ms` +
      (server.software === null ? "" : ` (${server.software})`)
    : style.bad(`${server.reason}: ${server.detail}`);
  return [server.server, familyName(server.family), says];
}
