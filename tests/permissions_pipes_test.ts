/** Pipes under exactly the permissions that they document, and what is said where one is missing. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeTestAuthority } from "../testing/certificates.ts";
import { libcPath } from "./_child.ts";
import { runCode } from "./_code.ts";
import { requires } from "./_require.ts";

const needs = requires({ os: ["linux"] });

const FFI = `--allow-ffi=${libcPath()}`;

/** A port that was free a moment ago. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Says something over a pipe and gets it back, and tells how; or tells what stood in the way. */
function echo(url: string, options: { readonly listen?: string; readonly connect?: string } = {}): string {
  return `
    import { connect } from "#/pipes/connect.ts";
    import { listen } from "#/pipes/listen.ts";
    try {
      await using server = await listen(${JSON.stringify(url)}, ${options.listen ?? "{}"});
      const { hostname, port } = server.addresses[0];
      const target = hostname === "0.0.0.0" ? \`tcp://127.0.0.1:\${port}\` : server.url;
      await using mine = await connect(target, { retry: false, ...${options.connect ?? "{}"} });
      for await (const theirs of server) {
        await mine.send("hello");
        const heard = new TextDecoder().decode(await theirs.recv());
        theirs.abort();
        const end = await mine.recv().then(String, (error) => error.code);
        const by = server.report.map(({ by, note }) => [by, note]);
        console.log(JSON.stringify({ heard, end, by, addresses: server.addresses }));
        break;
      }
    } catch (error) {
      const { name, message, code, flags } = error;
      console.log(JSON.stringify({ error: { name, message, code, flags } }));
    }`;
}

/** What that code tells. */
interface Told {
  readonly heard?: string;
  readonly end?: string;
  readonly by?: readonly (readonly [string, string | null])[];
  readonly addresses?: readonly { readonly hostname: string }[];
  readonly error?: { name: string; message: string; code: string; flags?: readonly string[] };
}

async function tell(code: string, flags: readonly string[]): Promise<Told> {
  const { code: exit, stdout, stderr } = await runCode(code, { flags });
  assertEquals([exit, stderr], [0, ""]);
  return JSON.parse(stdout) as Told;
}

/** Every grant stands twice: where the runtime may not ask, and where it could but nobody sits there. */
const MODES = [["--no-prompt"], []] as const;

for (const mode of MODES) {
  const said = mode.join();

  Deno.test({
    name: `TCP works with its host and port alone ${said}, and names them where they are missing`,
    ...needs,
    async fn() {
      const port = freePort();
      const url = `tcp://127.0.0.1:${port}`;
      const flag = `--allow-net=127.0.0.1:${port}`;
      const { error } = await tell(echo(url), mode);
      assertEquals(error, {
        name: "PermissionError",
        message: `Cannot listen on ${url}: permission missing, add ${flag}`,
        code: "permission",
        flags: [flag],
      });
      // A reset takes the C library; without, the other end sees an end.
      assertEquals((await tell(echo(url), [...mode, flag])).heard, "hello");
      assertEquals((await tell(echo(url), [...mode, flag, FFI])).end, "lost");
    },
  });

  Deno.test({
    name: `connecting without its grant ${said} names it, and does not try again`,
    ...needs,
    async fn() {
      const code = `
        import { connect } from "#/pipes/connect.ts";
        const error = await connect("tcp://127.0.0.1:9").catch((error) => error);
        const { name, message, code, flags } = error;
        console.log(JSON.stringify({ error: { name, message, code, flags } }));`;
      const { error } = await tell(code, mode);
      assertEquals([error?.name, error?.flags], ["PermissionError", ["--allow-net=127.0.0.1:9"]]);
      assertEquals(
        error?.message,
        "Cannot connect to tcp://127.0.0.1:9: permission missing, add --allow-net=127.0.0.1:9",
      );
    },
  });

  Deno.test({
    name: `everywhere is one family where only that is granted ${said}`,
    ...needs,
    async fn() {
      const port = freePort();
      const flag = `--allow-net=0.0.0.0:${port},127.0.0.1:${port}`;
      const told = await tell(echo(`tcp://:${port}`), [...mode, flag]);
      assertEquals(told.addresses?.map(({ hostname }) => hostname), ["0.0.0.0"]);
      const { error } = await tell(echo(`tcp://:${port}`), mode);
      assertEquals([error?.name, error?.flags], ["PermissionError", [`--allow-net=0.0.0.0:${port}`]]);
    },
  });

  Deno.test({
    name: `a Unix socket works with its path alone ${said}, and names it where it is missing`,
    ...needs,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "holdfast-permissions-" });
      const path = `${folder}/a.sock`;
      const flags = [`--allow-net=unix:${path}`, `--allow-read=${path}`, `--allow-write=${path}`];
      const { error } = await tell(echo(`unix:${path}`), mode);
      assertEquals([error?.name, error?.flags], ["PermissionError", flags]);
      assertEquals((await tell(echo(`unix:${path}`), [...mode, ...flags])).heard, "hello");
      await Deno.remove(folder);
    },
  });

  Deno.test({
    name: `pipes within the process need nothing ${said}`,
    ...needs,
    async fn() {
      assertEquals((await tell(echo("memory:echo"), mode)).heard, "hello");
    },
  });

  Deno.test({
    name: `TLS is the runtime's own with the C library ${said}, Node's without, and says why`,
    ...needs,
    async fn() {
      const authority = await makeTestAuthority();
      const tls = await authority.issue();
      const options = {
        listen: JSON.stringify({ tls }),
        connect: JSON.stringify({ tls: { caCerts: [authority.cert] } }),
      };
      const port = freePort();
      const net = `--allow-net=127.0.0.1:${port}`;
      const code = echo(`tls://127.0.0.1:${port}`, options);
      const native = await tell(code, [...mode, net, FFI]);
      assertEquals([native.heard, native.by], ["hello", [["native", null]]]);
      const node = await tell(code, [...mode, net]);
      assertEquals([node.heard, node.by?.[0]?.[0]], ["hello", "node:tls"]);
      assertStringIncludes(node.by?.[0]?.[1] ?? "", `permission missing, add ${FFI}`);
    },
  });

  Deno.test({
    name: `going through an interface without the C library ${said} names the flag, and works with it`,
    ...needs,
    async fn() {
      const port = freePort();
      const net = `--allow-net=127.0.0.1:${port}`;
      const code = echo(`tcp://127.0.0.1:${port}`, { connect: `{ via: { interface: "lo" } }` });
      const { error } = await tell(code, [...mode, net]);
      assertEquals([error?.name, error?.flags], ["PermissionError", [FFI]]);
      assertEquals((await tell(code, [...mode, net, FFI])).heard, "hello");
    },
  });
}
