/** Standard input, line by line. */

import { UsageError } from "./usage_error.ts";
import type { Source } from "./input.ts";

/** The longest line, in characters: four times as many bytes are still a message. */
const MAX_LINE = 65_536;

/** The lines of a source, without their ends; each is read when it is asked for. */
export class TextLines implements AsyncIterable<string> {
  readonly #source: Source;

  /**
   * Makes them; nothing is read yet.
   *
   * @param source Where from.
   */
  constructor(source: Source) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#source.readable) {
      const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const line of [...parts, rest]) {
        if (line.length > MAX_LINE) {
          throw new UsageError(
            `Cannot read standard input: a line has more than ${MAX_LINE} characters`,
            "Send it in several lines",
          );
        }
      }
      for (const line of parts) yield line.replace(/\r$/, "");
    }
    rest += decoder.decode();
    if (rest !== "") yield rest;
  }
}
