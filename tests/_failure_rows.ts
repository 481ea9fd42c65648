/** The scenarios of the catalogue that were reproduced, with what each API gave. */

import { CONNECTION_ROWS } from "./_failure_rows_connections.ts";
import { NETWORK_ROWS } from "./_failure_rows_network.ts";
import { PROTOCOL_ROWS } from "./_failure_rows_protocols.ts";
import type { FailureShape } from "./_failure_shapes.ts";

/** All rows, by the number of the scenario. */
export const FAILURE_ROWS: Readonly<Record<string, readonly FailureShape[]>> = {
  ...NETWORK_ROWS,
  ...CONNECTION_ROWS,
  ...PROTOCOL_ROWS,
};
