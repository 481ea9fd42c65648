/** Commands that run in network, mount (and, without root, user) namespaces of their own. */

/** The loopback interface is down in a new namespace, and `ip netns` keeps its files in `/run`, which must not be the machine's. */
const SETUP = 'ip link set lo up; mount -t tmpfs tmpfs /run; exec "$@"';

/** The ways to new namespaces, best first. */
function ways(): readonly string[] {
  return Deno.uid() === 0 ? ["-nm", "-Urnm"] : ["-Urnm"];
}

/** What {@linkcode findNamespaces} found. */
export type Namespaces =
  | { readonly works: true; readonly wrap: (command: readonly string[]) => readonly [string, ...string[]] }
  | { readonly works: false; readonly why: string };

/** Finds out by trying how this machine makes namespaces. */
export async function findNamespaces(): Promise<Namespaces> {
  if (Deno.build.os !== "linux") {
    return { works: false, why: `network namespaces are Linux's, this is ${Deno.build.os}` };
  }
  let why = "";
  for (const way of ways()) {
    try {
      const { success, stderr } = await new Deno.Command("unshare", {
        args: [way, "sh", "-c", SETUP, "sh", "true"],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).output();
      const said = new TextDecoder().decode(stderr).trim();
      if (success && said === "") {
        return { works: true, wrap: (command) => ["unshare", way, "sh", "-c", SETUP, "sh", ...command] };
      }
      why = `unshare ${way}: ${said.split("\n")[0] || "failed"}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return { works: false, why: "unshare is missing (package util-linux)" };
    }
  }
  return { works: false, why };
}
