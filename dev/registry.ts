/**
 * A JSR registry on this machine, with this package and the linked ones, made of the tree as it is.
 *
 * ```sh
 * deno run -A dev/registry.ts &
 * JSR_URL=http://127.0.0.1:4873/ deno run -A jsr:@holdfast/net/cli status
 * ```
 *
 * @module
 */

import { fileSystemPath, ROOT } from "./_files.ts";
import { type Package, readPackages } from "./_packages.ts";

/** Options of {@linkcode serveRegistry}. */
export interface RegistryOptions {
  /**
   * The repository.
   *
   * @default the one this file is in
   */
  readonly root?: string;
  /**
   * The port on the loopback interface.
   *
   * @default {0} any free one
   */
  readonly port?: number;
}

/** A registry that runs. */
export interface Registry extends AsyncDisposable {
  /** Its address, with a `/` at the end: the value for `JSR_URL`. */
  readonly url: string;
  /** What it has. */
  readonly packages: readonly Package[];
}

/**
 * Serves the packages of the repository until disposed of.
 *
 * @param options Where they come from and where they are served.
 * @returns The registry, once it listens.
 */
export async function serveRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const { root = fileSystemPath(ROOT), port = 0 } = options;
  const packages = await readPackages(root);
  const documents = new Map((await Promise.all(packages.map(documentsOf))).flat());
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, (request) => {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const body = documents.get(path);
    if (body === undefined) return new Response("not found", { status: 404 });
    return new Response(body, { headers: { "content-type": typeOf(path) } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    packages,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

type Document = readonly [path: string, body: string | Uint8Array<ArrayBuffer>];

async function documentsOf({ name, version, exports, files }: Package): Promise<readonly Document[]> {
  const manifest: Record<string, { readonly size: number; readonly checksum: string }> = {};
  const documents: Document[] = [];
  for (const [path, bytes] of files) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${digest.toHex()}` };
    documents.push([`/${name}/${version}/${path}`, bytes]);
  }
  documents.push([`/${name}/meta.json`, JSON.stringify({ latest: version, versions: { [version]: {} } })]);
  documents.push([`/${name}/${version}_meta.json`, JSON.stringify({ manifest, exports })]);
  return documents;
}

function typeOf(path: string): string {
  if (path.endsWith(".ts")) return "text/typescript";
  return path.endsWith(".json") ? "application/json" : "text/plain";
}

if (import.meta.main) {
  const { url, packages } = await serveRegistry({ port: Number(Deno.args[0] ?? 4873) });
  console.log(`JSR_URL=${url}`);
  for (const { name, version } of packages) console.log(`  ${name}@${version}`);
}
