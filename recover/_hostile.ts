/** Looks into values that anybody may have thrown: nothing in here throws. */

/** Reads a property; `undefined` where that fails. */
export function peek(value: unknown, key: string): unknown {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    // A getter or a proxy that throws has nothing to tell.
    return undefined;
  }
}

/** Reads a property that should be text; the empty text where it is not. */
export function peekText(value: unknown, key: string): string {
  const text = peek(value, key);
  return typeof text === "string" ? text : "";
}

/** Reads a property that should be a number; `undefined` where it is not. */
export function peekNumber(value: unknown, key: string): number | undefined {
  const number = peek(value, key);
  return typeof number === "number" ? number : undefined;
}

/** Reads the first items of a property that should be a list; none where it is not. */
export function peekList(value: unknown, key: string, most: number): readonly unknown[] {
  const list = peek(value, key);
  try {
    if (!Array.isArray(list)) return [];
    const length = Math.min(list.length, most);
    return Array.from({ length }, (_, i) => peek(list, `${i}`));
  } catch {
    // A revoked proxy is neither a list nor none.
    return [];
  }
}

/** Reads a header of what should be an answer; `null` where it has none. */
export function peekHeader(value: unknown, name: string): string | null {
  const headers = peek(value, "headers");
  const get = peek(headers, "get");
  try {
    // Old clients keep their headers in a plain object.
    const header: unknown = typeof get === "function" ? get.call(headers, name) : peek(headers, name);
    return typeof header === "string" ? header : null;
  } catch {
    return null;
  }
}
