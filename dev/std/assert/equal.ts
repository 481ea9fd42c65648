/** Deep equality, with the rules of `@std/assert`. */

/**
 * Whether two values are deeply equal: same prototype, same enumerable keys, equal values; `0` equals `-0`.
 *
 * @param a One value.
 * @param b The other.
 */
export function equal(a: unknown, b: unknown): boolean {
  const underWay = new Map<object, object>();

  function same(a: unknown, b: unknown): boolean {
    if (a === b || Object.is(a, b)) return true;
    if (!isObject(a) || !isObject(b)) return false;
    if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
    if (kind(a) !== kind(b)) return false;
    if (a instanceof WeakMap || a instanceof WeakSet) {
      throw new TypeError(`Cannot compare ${a instanceof WeakMap ? "WeakMap" : "WeakSet"} instances`);
    }
    const bytes = items(a);
    if (bytes !== undefined) return sameItems(bytes, items(b) ?? []);
    if (a instanceof RegExp || a instanceof URL || a instanceof URLSearchParams) {
      return String(a) === String(b);
    }
    if (underWay.get(a) === b) return true;
    underWay.set(a, b);
    if (Object.keys(a).length !== Object.keys(b).length) return false;
    if (a instanceof Map) return sameEntries([...a], [...b as Map<unknown, unknown>]);
    if (a instanceof Set) return sameEntries([...a], [...b as Set<unknown>]);
    return [...new Set([...keys(a), ...keys(b)])].every((key) =>
      key in a && key in b && same(Reflect.get(a, key), Reflect.get(b, key))
    );
  }

  function sameEntries(a: unknown[], b: unknown[]): boolean {
    return a.length === b.length && a.every((one) => b.some((other) => same(one, other)));
  }

  return same(a, b);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function kind(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

const TypedArray = Object.getPrototypeOf(Uint8Array);

function items(value: object): ArrayLike<number | bigint> | undefined {
  if (value instanceof TypedArray) return value as Uint8Array;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return new Uint8Array(value);
  return undefined;
}

function sameItems(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !Object.is(a[i], b[i])) return false;
  return true;
}

/** Own enumerable keys of a plain object or array; all keys up the prototypes of an instance. */
function keys(value: object): PropertyKey[] {
  if ([Object.prototype, Array.prototype].includes(kind(value) as never)) {
    return Reflect.ownKeys({ ...value });
  }
  const found: PropertyKey[] = [];
  for (let at = value; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    found.push(...Reflect.ownKeys(at));
  }
  return found;
}
