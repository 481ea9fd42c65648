/** What a user of the published package gets: everything here goes through a registry, a fresh cache and a fresh folder. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileSystemPath, ROOT } from "../dev/_files.ts";
import { readConfig } from "../dev/_packages.ts";
import { run, type RunResult } from "../dev/_process.ts";
import { type Registry, serveRegistry } from "../dev/registry.ts";
import { publishDryRun } from "../dev/stage.ts";

const root = fileSystemPath(ROOT);
const here = Deno.execPath();
const windows = Deno.build.os === "windows";
const config = await readConfig(root);
const entries = Object.entries(config.exports);

/** The entry points that need packages from npm, and which. */
const FROM_NPM: Readonly<Record<string, readonly string[]>> = {
  "./pipes/ws": ["ws"],
  "./signal/mqtt": ["mqtt", "ws"],
  "./signal/broker": ["aedes"],
  // By imports that only `holdfast signal` makes.
  "./cli": ["aedes", "mqtt", "ws"],
};

/** The examples that go on until they are told to end; tests of their own do that. */
const SERVING: readonly string[] = [
  "push_sni_front.ts",
  "push_to_python.ts",
  "push_zero_downtime.ts",
  "session_chat.ts",
  "session_game_client.ts",
  "session_game_server.ts",
  "session_mount.ts",
];

/** An entry point as a user writes it: `@holdfast/net/watch`. */
function specifier(entry: string): string {
  return `jsr:${config.name}@^${config.version}${entry.slice(1)}`;
}

/** A folder outside the repository, with a cache of its own, that knows no registry but ours. */
interface Outside extends AsyncDisposable {
  readonly registry: Registry;
  readonly folder: string;
  /** Makes a folder, with these files in it. */
  project(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** Runs `deno` there; npm is out of reach, since nothing that is run here may need it. */
  deno(cwd: string, ...args: readonly string[]): Promise<RunResult>;
  /** The environment of all that is run there. */
  readonly env: Readonly<Record<string, string>>;
}

async function outside(): Promise<Outside> {
  const folder = await Deno.makeTempDir({ prefix: "holdfast-outside-" });
  const registry = await serveRegistry({ root });
  const env = {
    JSR_URL: registry.url,
    DENO_DIR: `${folder}/cache`,
    NPM_CONFIG_REGISTRY: "http://127.0.0.1:1/",
    PATH: `${here.replace(/[\\/][^\\/]*$/, "")}${windows ? ";" : ":"}${Deno.env.get("PATH") ?? ""}`,
  };
  return {
    registry,
    folder,
    env,
    async project(name, files) {
      const project = `${folder}/${name}`;
      for (const [path, text] of Object.entries({ "deno.json": "{}", ...files })) {
        const file = `${project}/${path}`;
        await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
        await Deno.writeTextFile(file, text);
      }
      return project;
    },
    deno: (cwd, ...args) => run(here, { args, cwd, env, bound: 60_000 }),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function ended(result: RunResult): void {
  assert(result.ok, `exit code ${result.code}${result.hung ? ", had to be ended" : ""}\n${result.output}`);
}

Deno.test("the packages of the registry install, check and run outside the repository", async (t) => {
  await using there = await outside();

  await t.step(
    "a project imports every entry point that needs no npm, passes the type check, and runs without a permission",
    async () => {
      const free = entries.filter(([entry]) => !Object.hasOwn(FROM_NPM, entry));
      const lines = free.map(([entry], at) => `import * as m${at} from "${specifier(entry)}";`);
      lines.push(
        `console.log(JSON.stringify([${free.map((_, at) => `Object.keys(m${at})`).join(", ")}]));`,
      );
      const project = await there.project("consumer", { "main.ts": lines.join("\n") });
      ended(await there.deno(project, "check", "main.ts"));
      const result = await there.deno(project, "run", "--no-prompt", "main.ts");
      ended(result);
      const names: readonly string[][] = JSON.parse(result.stdout);
      const own = await Promise.all(free.map(async ([, path]) => Object.keys(await import(`../${path}`))));
      assertEquals(names, own);
    },
  );

  await t.step("the entry points that need npm run as well, without a permission", async () => {
    const lines = Object.keys(FROM_NPM).map((entry) => `import "${specifier(entry)}";`);
    const project = await there.project("from-npm", { "main.ts": lines.join("\n") });
    // What this machine has got from npm before need not be fetched again.
    const { stdout } = await run(here, { args: ["info", "--json"] });
    const cache = `${there.folder}/cache-with-npm`;
    await Deno.mkdir(cache);
    await Deno.symlink(JSON.parse(stdout).npmCache, `${cache}/npm`, { type: "dir" });
    const env = { JSR_URL: there.registry.url, DENO_DIR: cache };
    ended(await run(here, { args: ["check", "main.ts"], cwd: project, env, bound: 60_000 }));
    ended(await run(here, { args: ["run", "--no-prompt", "main.ts"], cwd: project, env, bound: 60_000 }));
  });

  await t.step("`deno run jsr:@holdfast/net/cli status` shows the network", async () => {
    const project = await there.project("run", {});
    const result = await there.deno(project, "run", "-A", `jsr:${config.name}/cli`, "status", "--json");
    ended(result);
    assertEquals(JSON.parse(result.stdout).type, "state");
  });

  await t.step("`deno install -g` makes a `holdfast` command that works", async () => {
    const project = await there.project("install", {});
    const where = ["--root", `${there.folder}/installed`, "-n", "holdfast"];
    ended(await there.deno(project, "install", "-g", "-A", ...where, `jsr:${config.name}/cli`));
    const holdfast = `${there.folder}/installed/bin/holdfast${windows ? ".cmd" : ""}`;
    const version = await run(holdfast, { args: ["--version"], cwd: project, env: there.env });
    ended(version);
    assertStringIncludes(version.stdout, config.version);
    const status = await run(holdfast, { args: ["status", "--json"], cwd: project, env: there.env });
    ended(status);
    assertEquals(JSON.parse(status.stdout).type, "state");
  });

  for await (const { name: file } of Deno.readDir(`${root}/examples`)) {
    if (!file.endsWith(".ts")) continue;
    await t.step(
      SERVING.includes(file)
        ? `examples/${file} is what a user could have written, and says how it is run`
        : `examples/${file} runs alone, with just the flags it names, and ends by itself`,
      async () => {
        const text = await Deno.readTextFile(`${root}/examples/${file}`);
        assertMatch(text, /from "@holdfast\/net(\/[a-z]+)*"/, "an example imports what a user would");
        const imports = { [config.name]: specifier("."), "@std/log": "jsr:@std/log@^0.224.14" };
        const project = await there.project(`example-${file}`, {
          "deno.json": JSON.stringify({ imports }),
          [file]: text,
        });
        ended(await there.deno(project, "check", file));
        const [, command] = /^\/\/ run: deno (run .+)$/m.exec(text) ?? [];
        assert(command, 'an example says how it is run: "// run: deno run FLAGS examples/FILE ARGUMENTS"');
        const args = command.trim().split(/\s+/);
        assert(args.includes(`examples/${file}`), `the command of an example names it: ${command}`);
        if (SERVING.includes(file)) return;
        ended(await there.deno(project, ...args.map((arg) => arg === `examples/${file}` ? file : arg)));
      },
    );
  }
});

Deno.test("an entry point pulls in the npm packages that it is there for, and most of them none", async (t) => {
  for (const [entry, path] of entries) {
    await t.step(`${config.name}${entry.slice(1)}`, async () => {
      const result = await run(Deno.execPath(), { args: ["info", "--json", "--no-lock", path], cwd: root });
      ended(result);
      const graph: {
        readonly modules: readonly { readonly error?: string; readonly npmPackage?: string }[];
        readonly npmPackages: Readonly<Record<string, { readonly name: string }>>;
      } = JSON.parse(result.stdout);
      assertEquals(graph.modules.filter(({ error }) => error !== undefined), []);
      const packages = graph.modules.flatMap(({ npmPackage }) =>
        npmPackage === undefined ? [] : [graph.npmPackages[npmPackage]?.name]
      );
      assertEquals(packages, [...FROM_NPM[entry] ?? []]);
    });
  }
});

Deno.test("`deno publish` has nothing to warn of, and would send just the files that the local registry serves", async () => {
  await using registry = await serveRegistry({ root });
  const { ok, output, files } = await publishDryRun();
  assert(ok, output);
  const served = registry.packages.find(({ name }) => name === config.name);
  assertEquals(files, [...served?.files.keys() ?? []]);
});
