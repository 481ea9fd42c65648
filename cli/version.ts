/** The version of the package, as a constant, so that `holdfast --version` has nothing to read. */

/** The version, the same as in `deno.json`. */
export const VERSION = "0.1.0";
