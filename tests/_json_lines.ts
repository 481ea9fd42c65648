/** The schemas of `docs/JSON.md`, and real lines held to them. */

import { assertEquals } from "@std/assert";
import { type Schema, validate } from "./_schema.ts";

/** The schemas of a document. */
export interface LineSchemas {
  /** By the type of line. */
  readonly schemas: ReadonlyMap<string, Schema>;
  /** All that `$ref` may name. */
  readonly defs: Readonly<Record<string, Schema>>;
}

/** Reads the schemas out of `docs/JSON.md`. */
export async function readSchemas(): Promise<LineSchemas> {
  const text = await Deno.readTextFile(new URL("../docs/JSON.md", import.meta.url));
  const schemas = new Map<string, Schema>();
  const defs: Record<string, Schema> = {};
  for (const [, block = ""] of text.matchAll(/^```json\n(.*?)^```/gms)) {
    const schema: Schema = JSON.parse(block);
    Object.assign(defs, schema.$defs);
    if (schema.title === undefined) continue;
    defs[schema.title] = schema;
    const { const: one, enum: several } = schema.properties?.type ?? {};
    for (const type of (several ?? [one]) as string[]) {
      assertEquals(schemas.has(type), false, `two schemas for "${type}"`);
      schemas.set(type, schema);
    }
  }
  return { schemas, defs };
}

/** One line of `--json`. */
export interface JsonLine {
  readonly type: string;
  readonly at: string;
  readonly [field: string]: unknown;
}

/**
 * Holds lines to the schemas of their types.
 *
 * @param text What a command has written with `--json`.
 * @returns The lines.
 */
export function checkLines(text: string, { schemas, defs }: LineSchemas): JsonLine[] {
  return text.trimEnd().split("\n").map((line) => {
    const value: JsonLine = JSON.parse(line);
    const schema = schemas.get(value.type);
    if (!schema) {
      throw new Error(`Cannot check a line of type "${value.type}": docs/JSON.md has no schema for it`);
    }
    assertEquals(validate(value, schema, defs), [], line);
    assertEquals(Object.keys(value).slice(0, 2), ["type", "at"]);
    return value;
  });
}
