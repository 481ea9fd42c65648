/** `holdfast help [COMMAND]`. */

import { commandTable } from "../command_table.ts";
import { EXIT } from "../failure.ts";
import { commandHelp, programHelp } from "../help.ts";
import { findCommand } from "../parse.ts";
import type { Context } from "../spec.ts";

/** Shows the help of the program, or of one command. */
export async function run({ args, style, print }: Context): Promise<number> {
  const [name] = args;
  const text = name === undefined
    ? programHelp(commandTable, style)
    : commandHelp(findCommand(commandTable, name), style);
  await print(text);
  return EXIT.fine;
}
