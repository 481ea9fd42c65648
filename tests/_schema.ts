/** A small JSON schema validator, for the schemas in `docs/JSON.md`: just the keywords that stand there. */

/** A schema, as far as this validator knows the language (draft 2020-12). */
export interface Schema {
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
  readonly minProperties?: number;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Schema;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const KEYWORDS: ReadonlySet<string> = new Set<keyof Schema>([
  "title",
  "description",
  "type",
  "properties",
  "required",
  "additionalProperties",
  "minProperties",
  "enum",
  "const",
  "items",
  "pattern",
  "minimum",
  "anyOf",
  "oneOf",
  "$ref",
  "$defs",
]);

/**
 * Checks a value.
 *
 * @param value Any JSON value.
 * @param schema What it must be.
 * @param defs What `$ref` may name, as `#/$defs/NAME`.
 * @param path Where the value stands, for messages.
 * @returns What is wrong, one line each; empty when all is right.
 */
export function validate(
  value: unknown,
  schema: Schema,
  defs: Readonly<Record<string, Schema>>,
  path = "$",
): string[] {
  const stranger = Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword));
  if (stranger !== undefined) throw new TypeError(`Cannot validate ${path}: unknown keyword "${stranger}"`);
  if (schema.$ref !== undefined) return validate(value, resolve(schema.$ref, defs), defs, path);
  const wrong: string[] = [];
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => isType(value, type))) {
    return [`${path}: ${JSON.stringify(value)} is not ${types.join(" or ")}`];
  }
  if ("const" in schema && !same(value, schema.const)) {
    wrong.push(`${path}: ${JSON.stringify(value)} is not ${JSON.stringify(schema.const)}`);
  }
  if (schema.enum && !schema.enum.some((known) => same(value, known))) {
    wrong.push(`${path}: ${JSON.stringify(value)} is none of ${JSON.stringify(schema.enum)}`);
  }
  if (
    schema.pattern !== undefined && typeof value === "string" && !new RegExp(schema.pattern, "u").test(value)
  ) {
    wrong.push(`${path}: ${JSON.stringify(value)} does not match ${schema.pattern}`);
  }
  if (schema.minimum !== undefined && typeof value === "number" && value < schema.minimum) {
    wrong.push(`${path}: ${value} is less than ${schema.minimum}`);
  }
  if (isType(value, "object")) {
    wrong.push(...validateObject(value as Record<string, unknown>, schema, defs, path));
  }
  if (Array.isArray(value) && schema.items) {
    const { items } = schema;
    wrong.push(...value.flatMap((item, i) => validate(item, items, defs, `${path}[${i}]`)));
  }
  wrong.push(...validateChoices(value, schema, defs, path));
  return wrong;
}

function validateObject(
  value: Readonly<Record<string, unknown>>,
  { properties = {}, required = [], additionalProperties, minProperties = 0 }: Schema,
  defs: Readonly<Record<string, Schema>>,
  path: string,
): string[] {
  const wrong = required.filter((name) => !Object.hasOwn(value, name)).map((name) =>
    `${path}: ${name} is missing`
  );
  if (Object.keys(value).length < minProperties) wrong.push(`${path}: fewer than ${minProperties} fields`);
  for (const [name, field] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema) wrong.push(...validate(field, schema, defs, `${path}.${name}`));
    else if (additionalProperties === false) wrong.push(`${path}: ${name} is not known`);
  }
  return wrong;
}

function validateChoices(
  value: unknown,
  { anyOf, oneOf }: Schema,
  defs: Readonly<Record<string, Schema>>,
  path: string,
): string[] {
  const wrong: string[] = [];
  for (const [choices, exactly] of [[anyOf, false], [oneOf, true]] as const) {
    if (!choices) continue;
    const findings = choices.map((choice) => validate(value, choice, defs, path));
    const fits = findings.filter((finding) => finding.length === 0).length;
    if (fits === 0) wrong.push(`${path}: fits no choice (${findings.map((f) => f[0]).join(" | ")})`);
    if (exactly && fits > 1) wrong.push(`${path}: fits ${fits} choices`);
  }
  return wrong;
}

function resolve(ref: string, defs: Readonly<Record<string, Schema>>): Schema {
  const [, name = ""] = /^#\/\$defs\/(\w+)$/.exec(ref) ?? [];
  const schema = Object.hasOwn(defs, name) ? defs[name] : undefined;
  if (!schema) throw new TypeError(`Cannot resolve "${ref}": no such definition`);
  return schema;
}

function isType(value: unknown, type: string): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "string":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    default:
      throw new TypeError(`Cannot validate: unknown type "${type}"`);
  }
}

/** Constants in our schemas are plain values, never objects. */
function same(a: unknown, b: unknown): boolean {
  return a === b;
}
