import { assert, assertEquals } from "@std/assert";
import { commandTable } from "../cli/command_table.ts";
import { parseCommandLine } from "../cli/parse.ts";
import { permissions } from "../watch/permissions.ts";

const ROOT = new URL("..", import.meta.url);
const PAGES = ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/SECURITY.md", "CHANGELOG.md"];

async function pages(): Promise<readonly { readonly path: string; readonly text: string }[]> {
  return await Promise.all(
    PAGES.map(async (path) => ({ path, text: await Deno.readTextFile(new URL(path, ROOT)) })),
  );
}

/** The lines of the shell examples, comments and what follows the first command taken off. */
function shellLines(text: string): readonly string[] {
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  const inline = [...text.matchAll(/`((?:holdfast|deno task) [^`]*)`/g)].map(([, code = ""]) => code);
  return [...blocks.flatMap((block) => block.split("\n")), ...inline].map((line) =>
    line.replace(/\s+#.*/, "").trim()
  );
}

Deno.test("every holdfast command in the documents is one that the command line takes", async () => {
  let found = 0;
  for (const { path, text } of await pages()) {
    for (const line of shellLines(text)) {
      for (const [, rest = ""] of line.matchAll(/(?<![\w/=@-])holdfast( [^&|)"]*)/g)) {
        found++;
        const args = rest.trim().split(/\s+/);
        assert(args[0] !== "", `${path}: ${line}`);
        parseCommandLine(commandTable, args);
      }
    }
  }
  assert(found >= 8, `only ${found} commands were found`);
});

Deno.test("every task in the documents exists, and every task is described", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const named = new Set<string>();
  for (const { path, text } of await pages()) {
    for (const [, name = ""] of text.matchAll(/(?:deno|deno@[\d.]+) task ([a-z]+)/g)) {
      named.add(name);
      assert(name in tasks, `${path} names the task "${name}"`);
    }
  }
  assert(named.has("demo") && named.has("test") && named.has("ok"));
  for (const [name, task] of Object.entries(tasks)) {
    assert((task as { description?: string }).description, `the task "${name}" has no description`);
  }
});

Deno.test("every link in the documents leads to a file that is there", async () => {
  for (const { path, text } of await pages()) {
    for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue;
      const { isFile } = await Deno.stat(new URL(target, new URL(path, ROOT)));
      assert(isFile, `${path} links to ${target}`);
    }
  }
});

Deno.test("the README's table of permissions and the permission sets of deno.json say what the code says", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const { permissions: sets } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const { backend, needs, wants } of permissions.backends) {
    const row = readme.split("\n").find((line) => line.startsWith(`| \`${backend}\``));
    assert(row, `the README lacks the backend ${backend}`);
    const set = sets[backend === "netlink" ? "watch" : `watch-${backend}`];
    for (const need of needs) {
      assert(row.includes(`--allow-${need.name}`), `${backend}: ${row}`);
      const value = need.name === "ffi"
        ? need.path
        : need.name === "run"
        ? need.command
        : "networkInterfaces";
      assert(set[need.name].includes(value), `the permission set for ${backend} lacks ${value}`);
    }
    const read = wants.flatMap((want) => want.name === "read" ? [want.path] : []);
    assertEquals(set.read ?? [], read, backend);
  }
});
