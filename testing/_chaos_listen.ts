/** Where a chaos link listens. */

import { parseTarget } from "../recover/_target.ts";

/** Reads where to listen: as a target, but that port 0 is fine. */
export function parseListen(text: string): { readonly hostname: string; readonly port: number } {
  const free = /:0+$/.test(text);
  const { hostname, port } = parseTarget(free ? text.replace(/:0+$/, ":1") : text);
  return { hostname, port: free ? 0 : port };
}
