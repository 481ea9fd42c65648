/** A stand-in for `@std/cli/parse-args`, without dotted names. */

type Names<N> = N | ReadonlyArray<Extract<N, string>>;

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions<
  B extends boolean | string | undefined = boolean | string | undefined,
  S extends string | undefined = string | undefined,
  C extends string | undefined = string | undefined,
  D extends Record<string, unknown> | undefined = Record<string, unknown> | undefined,
  DD extends boolean | undefined = boolean | undefined,
> {
  /** Whether what follows `--` goes to the result's `--` instead of its `_`. */
  "--"?: DD;
  /** Other names of an option. */
  alias?: Partial<Record<string, string | readonly string[]>>;
  /** The options that take no value; `true` for all long ones without `=`. */
  boolean?: Names<B>;
  /** The options that may be given several times. */
  collect?: Names<C>;
  /** Values of options that are not given. */
  default?: D;
  /** The options that `--no-NAME` sets to `false`. */
  negatable?: Names<string | undefined>;
  /** Whether everything after the first argument that is no option is taken as it is. */
  stopEarly?: boolean;
  /** The options whose value stays text; `_` for the arguments. */
  string?: Names<S>;
  /** Hears of each argument and each option that is not declared; `false` leaves it out of the result. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Known<B, S, C, D> =
  & { [K in Exclude<Extract<B, string>, C>]: boolean }
  & { [K in Extract<Exclude<S, C | keyof D>, string>]?: string }
  & { [K in Extract<Exclude<Extract<S, keyof D>, C>, string>]: string | Extract<D, object>[K & keyof D] }
  & { [K in Extract<Extract<B, C>, string>]: boolean[] }
  & { [K in Extract<Extract<S, C>, string>]: string[] }
  & { [K in Extract<Exclude<C, B | S>, string>]: unknown[] };

/** What {@linkcode parseArgs} returns. */
export type Args<T = Record<string, unknown>, DD extends boolean | undefined = undefined> =
  & T
  & { /** The arguments that belong to no option. */ _: Array<string | number> }
  & (DD extends true ? { /** What followed `--`. */ "--": string[] } : unknown);

/**
 * Parses command line arguments.
 *
 * @param args The arguments.
 * @param options Which options there are.
 * @returns The options by name, and the rest as `_`.
 */
export function parseArgs<
  B extends boolean | string | undefined = undefined,
  S extends string | undefined = undefined,
  C extends string | undefined = undefined,
  D extends Record<string, unknown> | undefined = undefined,
  DD extends boolean | undefined = undefined,
>(
  args: readonly string[],
  options: ParseOptions<B, S, C, D, DD> = {},
): Args<
  // deno-lint-ignore no-explicit-any
  [B, S, C] extends [undefined, undefined, undefined] ? Record<string, any>
    : Record<string, unknown> & Known<B, S, C, D>,
  DD
> {
  return parse(args, options as ParseOptions) as ReturnType<typeof parseArgs<B, S, C, D, DD>>;
}

function parse(argv: readonly string[], options: ParseOptions): Args {
  const alias = aliases(options.alias ?? {});
  const others = (key: string): string[] => alias.get(key) ?? [];
  const named = (names: unknown): Set<string> => {
    const given = [names ?? []].flat().filter((name) => typeof name === "string" && name !== "") as string[];
    return new Set(given.flatMap((name) => [name, ...others(name)]));
  };
  const booleans = named(options.boolean);
  const strings = named(options.string);
  const collected = named(options.collect);
  const negatable = named(options.negatable);
  const allBoolean = options.boolean === true;
  const unknown = options.unknown ?? (() => true);

  const result: Args = { _: [] };
  const end = argv.indexOf("--");
  const args = end < 0 ? argv : argv.slice(0, end);
  const afterwards = end < 0 ? [] : argv.slice(end + 1);

  function set(arg: string, key: string, value: string | number | boolean, collect = true): void {
    const declared = booleans.has(key) || strings.has(key) || alias.has(key) || collected.has(key) ||
      (allBoolean && /^--[^=]+$/.test(arg));
    if (!declared && unknown(arg, key, value) === false) return;
    if (typeof value === "string" && !strings.has(key) && isNumber(value)) value = Number(value);
    for (const name of [key, ...others(key)]) {
      if (name === "__proto__") continue;
      const before = result[name];
      if (!collect || !collected.has(key)) result[name] = value;
      else if (Array.isArray(before)) before.push(value);
      else result[name] = before ? [before, value] : [value];
    }
  }

  /** Sets the option from what follows it; says how many arguments that took. */
  function follow(
    arg: string,
    key: string,
    next: string | undefined,
    takes: (next: string) => boolean,
  ): number {
    const flag = booleans.has(key);
    if (next && !flag && takes(next)) {
      set(arg, key, next);
      return 1;
    }
    if (next === "true" || next === "false") {
      set(arg, key, next === "true");
      return 1;
    }
    set(arg, key, strings.has(key) ? "" : true);
    return 0;
  }

  function long(arg: string, next: string | undefined): number {
    const [, name = "", value] = /^--(.+?)(?:=(.*))?$/s.exec(arg) ?? [];
    if (value !== undefined) {
      // `--no-x=1` is an option named `x` there, as upstream has it.
      const key = name.replace(/^no-(?=.)/, "");
      set(arg, key, booleans.has(key) ? value !== "false" : value);
      return 0;
    }
    const negated = /^no-(.+)$/s.exec(name)?.[1];
    if (negated !== undefined && negatable.has(negated)) {
      set(arg, negated, false, false);
      return 0;
    }
    return follow(arg, name, next, (next) => !allBoolean && !next.startsWith("-"));
  }

  function short(arg: string, next: string | undefined): number {
    for (let at = 1; at < arg.length - 1; at++) {
      const letter = arg.charAt(at);
      const rest = arg.slice(at + 1);
      if (rest === "-") {
        set(arg, letter, rest);
        continue;
      }
      const value = valueIn(letter, rest, at + 1 < arg.length - 1);
      if (value !== undefined) {
        set(arg, letter, value);
        return 0;
      }
      set(arg, letter, strings.has(letter) ? "" : true);
    }
    const last = arg.slice(-1);
    return last === "-" ? 0 : follow(arg, last, next, (next) => !/^(-|--)[^-]/.test(next));
  }

  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (/^--./s.test(arg)) i += long(arg, args[i + 1]);
    else if (/^-./s.test(arg)) i += short(arg, args[i + 1]);
    else {
      if (unknown(arg) !== false) result._.push(strings.has("_") || !isNumber(arg) ? arg : Number(arg));
      if (options.stopEarly) {
        result._.push(...args.slice(i + 1));
        break;
      }
    }
  }

  for (const [key, value] of Object.entries(options.default ?? {})) {
    if (!Object.hasOwn(result, key)) { for (const name of [key, ...others(key)]) result[name] = value; }
  }
  for (const key of booleans) if (!Object.hasOwn(result, key)) result[key] = collected.has(key) ? [] : false;
  for (const key of strings) if (!Object.hasOwn(result, key) && collected.has(key)) result[key] = [];
  if (options["--"]) result["--"] = afterwards;
  else result._.push(...afterwards);
  return result;
}

/** The value that stands directly behind a letter, as in `-n5`, `-n=5` and `-o/tmp`. */
function valueIn(letter: string, rest: string, more: boolean): string | undefined {
  if (rest === "=") return "";
  if (/[A-Za-z]/.test(letter)) {
    const value = /=(.+)/.exec(rest)?.[1];
    if (value !== undefined) return value;
    if (/-?\d+(\.\d*)?(e-?\d+)?$/.test(rest)) return rest;
  }
  return more && /^\W/.test(rest) ? rest : undefined;
}

function aliases(given: NonNullable<ParseOptions["alias"]>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) throw new TypeError("Alias value must be defined");
    const group = [key, ...[value].flat() as string[]];
    for (const name of group) groups.set(name, group.filter((other) => other !== name));
  }
  return groups;
}

function isNumber(text: string): boolean {
  return /\S/.test(text) && Number.isFinite(Number(text));
}
