/** Run under Wine: for each line of standard input, prints the tables of Windows as they are then, as JSON. */

import { acquireWindows } from "../../internal/ffi/windows.ts";
import { readBytes } from "../../watch/_read_windows.ts";

/** What follows the last byte that is not zero is room for a structure that ends in zeros. */
const ROOM = 512;

function trimmed(bytes: Uint8Array): string {
  const last = bytes.findLastIndex((byte) => byte !== 0);
  return bytes.subarray(0, Math.min(bytes.length, last + 1 + ROOM)).toBase64();
}

using windows = acquireWindows();
for await (const _ of Deno.stdin.readable) {
  const { adapters, links, v4, v6 } = readBytes(windows);
  const family = ({ route, routes, neighbours }: typeof v4): unknown => ({
    route: route && { row: route.row.toBase64(), source: route.source.toBase64() },
    routes: routes && routes.toBase64(),
    neighbours: neighbours && neighbours.toBase64(),
  });
  const scene = {
    adapters: { base: `${adapters.base}`, bytes: trimmed(adapters.bytes) },
    links: links && links.toBase64(),
    v4: family(v4),
    v6: family(v6),
  };
  console.log(JSON.stringify(scene));
}
