/** The names of hosts as strangers write them. Pure. */

/**
 * A host name in the form that routes are looked up by: lower case, without a dot at the end.
 *
 * @param text What somebody has sent; anything may be in it.
 * @returns The name, or `null` for what is none. Numbers with dots are one: who they belong to is not said by their form.
 */
export function hostName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, "");
  // Underscores are no letters of host names, and yet in use.
  const isName = name.length <= 253 && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name);
  return isName ? name : null;
}
