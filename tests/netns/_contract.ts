/** What every backend must do: one suite, run on the real kernel in a namespace of its own. */

import type { BackendName } from "@holdfast/net/watch";
import { aboutAddresses } from "./_contract_addresses.ts";
import { aboutLinks } from "./_contract_links.ts";
import { aboutRoutes } from "./_contract_routes.ts";
import { registerFor } from "./_lab.ts";

/**
 * Registers the suite.
 *
 * @param backend The backend that it is run for.
 */
export function contract(backend: BackendName): void {
  const test = registerFor(backend);
  aboutLinks(test);
  aboutAddresses(test);
  aboutRoutes(test);
}
