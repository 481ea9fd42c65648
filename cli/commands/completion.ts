/** `holdfast completion SHELL`. */

import { commandTable } from "../command_table.ts";
import { completionScript } from "../completion.ts";
import { EXIT } from "../failure.ts";
import type { Context } from "../spec.ts";

/** Prints the completion script of a shell. */
export async function run({ args: [shell = ""], print }: Context): Promise<number> {
  await print(completionScript(commandTable, shell));
  return EXIT.fine;
}
