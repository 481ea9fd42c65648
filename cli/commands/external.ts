/** x */
import { EXIT } from "../failure.ts";
import type { Context } from "../spec.ts";
/** x */
export async function run({ print }: Context): Promise<number> {
  await print("x");
  return EXIT.fine;
}
