/** Reads the network by the `ip` tool of iproute2: one process a reading. */

import { exec } from "../internal/exec.ts";
import { HoldfastError } from "../internal/errors.ts";
import { IP_BATCH, type IpReading, parseIpBatch } from "./_ip_json.ts";

/** Where to get the tool. */
export const IP_HINT = 'Install the package "iproute2", or make sure that /usr/sbin or /sbin is in PATH';

/**
 * Reads links, addresses and routes.
 *
 * @param signal Calls it off.
 * @throws {PermissionError} Without `--allow-run=ip`.
 * @throws {ToolMissingError} Where there is no `ip`.
 */
export async function readByIp(signal?: AbortSignal): Promise<IpReading> {
  const operation = "read the network by ip";
  // -force: look-ups that find no route are answers, not ends of the batch.
  const { stdout, stderr } = await exec("ip", {
    args: ["-json", "-details", "-force", "-batch", "-"],
    operation,
    hint: IP_HINT,
    stdin: IP_BATCH,
    signal,
  });
  const reading = parseIpBatch(stdout);
  if (reading.interfaces.length > 0) return reading;
  throw new HoldfastError(`Cannot ${operation}: ${stderr.trim().split("\n")[0] || "it named no interface"}`, {
    code: "tool-failed",
    operation,
  });
}
