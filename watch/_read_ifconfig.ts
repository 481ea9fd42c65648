/** Reads the network by macOS's own tools: `ifconfig`, `route`, `netstat` and `scutil`, side by side. */

import { exec } from "../internal/exec.ts";
import { HoldfastError } from "../internal/errors.ts";
import { parseIfconfig } from "./_ifconfig.ts";
import type { Reader } from "./_readers.ts";
import { PROBE, type Reading } from "./_reading.ts";
import { parseGatewayMac, parseRouteGet } from "./_route_text.ts";
import { parseScutilDns } from "./_scutil.ts";

/** Where the tools are. */
export const TOOLS_HINT = "The tools come with macOS; make sure that /sbin and /usr/sbin are in PATH";

/** Reads by macOS's tools. */
export function ifconfigReader(): Reader {
  return { name: "ifconfig", read: (signal) => readByIfconfig(signal), [Symbol.dispose]() {} };
}

/** Runs a program and gives its exit code and what it wrote to standard output. */
export type RunTool = (
  tool: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
) => Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;

const OPERATION = "read the network by ifconfig";

const run: RunTool = (tool, args, signal) =>
  exec(tool, { args, operation: OPERATION, hint: TOOLS_HINT, signal });

/**
 * Reads everything.
 *
 * @param signal Calls it off.
 * @param tool Runs a program.
 * @throws {PermissionError} Without `--allow-run=ifconfig,route,netstat,scutil`.
 * @throws {ToolMissingError} Where one of them is missing.
 * @throws {HoldfastError} `tool-failed` where one does not do what it is there for.
 */
export async function readByIfconfig(signal?: AbortSignal, tool: RunTool = run): Promise<Reading> {
  const [links, four, six, table, resolver] = await Promise.all([
    tool("ifconfig", ["-a", "-L", "-v"], signal),
    tool("route", ["-n", "get", PROBE.v4], signal),
    tool("route", ["-n", "get", "-inet6", PROBE.v6], signal),
    tool("netstat", ["-rn"], signal),
    tool("scutil", ["--dns"], signal),
  ]);
  const interfaces = parseIfconfig(links.stdout);
  // One that goes away while it is described makes it end early; the next reading is whole.
  if (interfaces.length === 0 || links.code !== 0) {
    throw new HoldfastError(`Cannot ${OPERATION}: ${links.stderr.trim().split("\n")[0] || "it named none"}`, {
      code: "tool-failed",
      operation: OPERATION,
    });
  }
  const v4 = parseRouteGet(four.stdout, 4, interfaces);
  const v6 = parseRouteGet(six.stdout, 6, interfaces);
  return {
    at: Date.now(),
    interfaces,
    defaultRoute: { v4, v6 },
    gatewayMac: { v4: parseGatewayMac(table.stdout, v4), v6: parseGatewayMac(table.stdout, v6) },
    dns: parseScutilDns(resolver.stdout),
    blind: [],
  };
}
