/** The options of one call, read and checked. */

/** What an option can be after reading. */
export type Value = string | number | boolean | readonly string[];

/** The options of one call; each is asked for by its name and in its type. */
export class Values {
  readonly #values: ReadonlyMap<string, Value>;

  /** @param values The options that were given or have a default, by name. */
  constructor(values: ReadonlyMap<string, Value>) {
    this.#values = values;
  }

  /** The options that were given or have a default: a flag that is off and an empty list are not among them. */
  get names(): readonly string[] {
    return [...this.#values].filter(([, value]) =>
      value !== false && !(Array.isArray(value) && value.length === 0)
    )
      .map(([name]) => name);
  }

  /** A `string` or `choice`, or `undefined` where it was not given. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value !== undefined && typeof value !== "string") {
      throw new TypeError(`Cannot read "${name}": not a text`);
    }
    return value;
  }

  /** A `duration` in milliseconds, a `size` in bytes or a `count`, or `undefined` where it was not given. */
  number(name: string): number | undefined {
    const value = this.#values.get(name);
    if (value !== undefined && typeof value !== "number") {
      throw new TypeError(`Cannot read "${name}": not a number`);
    }
    return value;
  }

  /** A `boolean`. */
  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }

  /** A `list`; empty where it was not given. */
  list(name: string): readonly string[] {
    const value = this.#values.get(name) ?? [];
    if (typeof value !== "object") throw new TypeError(`Cannot read "${name}": not a list`);
    return value;
  }

  /** The address family by the option `family`, or `undefined` where it was not given. */
  family(): 4 | 6 | undefined {
    const value = this.text("family");
    return value === undefined ? undefined : value === "4" ? 4 : 6;
  }
}

/** The fields of an object that are not `undefined`: options of a call from options of the command line. */
export type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/**
 * Leaves out what is `undefined`.
 *
 * @param fields Any object.
 * @returns The fields that have a value.
 */
export function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
}
