/** Aligned columns. */

import { widthOf } from "./style.ts";

/**
 * Aligns cells in columns, two spaces apart.
 *
 * @param rows Rows of cells; a cell may be coloured.
 * @returns One line per row, without spaces at its end.
 */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
  }
  return rows.map((row) => row.map((cell, i) => pad(cell, widths[i] ?? 0)).join("  ").trimEnd());
}

/**
 * Two columns; the text of the second is broken between words and goes on below its beginning.
 *
 * @param rows A name and a text each.
 * @param width The longest line.
 * @returns The lines.
 */
export function glossary(rows: readonly (readonly [string, string])[], width: number): string[] {
  const indent = Math.max(...rows.map(([name]) => widthOf(name))) + 2;
  return rows.flatMap(([name, text]) => {
    const lines = wrap(text, Math.max(20, width - indent));
    return lines.map((line, i) => pad(i === 0 ? name : "", indent) + line);
  });
}

/** Fills up with spaces on the right; colours do not count. */
export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/**
 * Breaks a text into lines between words.
 *
 * @param text One paragraph.
 * @param width The longest line.
 * @returns The lines.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
