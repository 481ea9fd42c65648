/**
 * Run on a host of the laboratory: connects to where it is told and reads what it is greeted with. It reads lines, each an
 * {@linkcode AskerCommand}, and answers each with a line, an {@linkcode AskerResult}.
 */

import { classify } from "../../recover/classify.ts";

/** Where to connect, and for how many milliseconds to wait. */
export interface AskerCommand {
  readonly hostname: string;
  readonly port: number;
  readonly patience: number;
}

/** What it was greeted with, or the scenario of its failure. */
export interface AskerResult {
  readonly greeting?: string;
  readonly failure?: string | null;
}

async function ask({ hostname, port, patience }: AskerCommand): Promise<AskerResult> {
  try {
    using conn = await Deno.connect({ hostname, port, signal: AbortSignal.timeout(patience) });
    return { greeting: await new Response(conn.readable).text() };
  } catch (error) {
    return { failure: classify(error, { operation: "connect", remoteAddress: hostname }).scenario };
  }
}

if (import.meta.main) {
  console.log("{}");
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) console.log(JSON.stringify(await ask(JSON.parse(line))));
  }
}
