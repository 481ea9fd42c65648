/** A stand-in for `@std/cli`: `parseArgs`. */

export { type Args, parseArgs, type ParseOptions } from "./parse_args.ts";
