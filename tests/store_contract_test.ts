/** What every store does: one suite for the one in memory and the one in a file; and what only a file can do. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { holdProcess } from "../internal/clock.ts";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { memoryStore, type Store } from "../internal/store.ts";
import { sqliteStore } from "../internal/store_sqlite.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { descriptorsOf, eventually } from "./_child.ts";
import { runCode, startCode } from "./_code.ts";
import { requires, scale } from "./_require.ts";

/** A store and what is left of it afterwards. */
interface Subject {
  readonly name: string;
  open(): Promise<{ readonly store: Store } & AsyncDisposable>;
}

const linux = requires({ os: ["linux"] });

const SUBJECTS: readonly Subject[] = [
  {
    name: "memory",
    open: () => {
      const store = memoryStore();
      return Promise.resolve({ store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() });
    },
  },
  ...(["power", "process"] as const).map((durability): Subject => ({
    name: `sqlite, safe from the loss of ${durability === "power" ? "power" : "the process"}`,
    async open() {
      const folder = await inFolder();
      const store = await sqliteStore(`${folder.path}/store.db`, { durability });
      return {
        store,
        async [Symbol.asyncDispose]() {
          await store[Symbol.asyncDispose]();
          assertEquals(folder.files(), ["store.db"]);
          await folder[Symbol.asyncDispose]();
        },
      };
    },
  })),
];

async function inFolder(): Promise<{ readonly path: string; files(): string[] } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "holdfast-store-" });
  return {
    path,
    files: () => [...Deno.readDirSync(path)].map(({ name }) => name).sort(),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

async function entries(store: Store, prefix: string): Promise<(readonly [string, number[]])[]> {
  const found: (readonly [string, number[]])[] = [];
  for await (const [key, value] of store.list(prefix)) found.push([key, [...value]]);
  return found;
}

for (const { name, open } of SUBJECTS) {
  const test = (what: string, fn: (store: Store) => Promise<void>): void =>
    Deno.test(`${name}: ${what}`, async () => {
      await using opened = await open();
      await fn(opened.store);
    });

  test("a store gives back what was set last, and undefined for what is not there", async (store) => {
    assertEquals(await store.get("a"), undefined);
    await store.set("a", bytes(1));
    await store.set("a", bytes(2, 3));
    await store.set("", bytes());
    assertEquals(await store.get("a"), bytes(2, 3));
    assertEquals(await store.get(""), bytes());
    await store.delete("a");
    await store.delete("a");
    assertEquals(await store.get("a"), undefined);
  });

  test("what is called without waiting happens in the order of the calls", async (store) => {
    const before = store.get("a");
    const all = [
      store.set("a", bytes(1)),
      store.set("a", bytes(2)),
      store.delete("b"),
      store.set("b", bytes(3)),
    ];
    const between = store.get("a");
    const more = [store.set("a", bytes(4)), store.delete("b")];
    assertEquals([await before, await between], [undefined, bytes(2)]);
    await Promise.all([...all, ...more]);
    assertEquals(await entries(store, ""), [["a", [4]]]);
  });

  test("list() gives the entries under a prefix in the order of their keys, by code unit", async (store) => {
    const keys = [
      "b/2",
      "b/10",
      "a",
      "b/\u{1F600}",
      "b/\uFF5E",
      "b/B",
      "bb",
      "b/\0",
      "b/\uD800",
      "b\uFFFF",
      "c",
    ];
    for (const [i, key] of keys.entries()) await store.set(key, bytes(i));
    const found = async (prefix: string): Promise<string[]> =>
      (await entries(store, prefix)).map(([key]) => key);
    assertEquals(await found("b/"), ["b/\0", "b/10", "b/2", "b/B", "b/\uD800", "b/\u{1F600}", "b/\uFF5E"]);
    assertEquals(await found(""), keys.toSorted());
    assertEquals(await found("b\uFFFF"), ["b\uFFFF"]);
    assertEquals(await found("\uFFFF"), []);
    assertEquals(await found("d"), []);
    for (const [i, key] of keys.entries()) assertEquals(await store.get(key), bytes(i));
  });

  test("list() passes over what is deleted meanwhile, and does not trip over what is added", async (store) => {
    for (const key of ["1", "2", "3"]) await store.set(key, bytes());
    const seen: string[] = [];
    for await (const [key] of store.list("")) {
      seen.push(key);
      await store.delete("2");
      await store.set("4", bytes());
    }
    assertEquals(seen, ["1", "3"]);
  });

  test("a store keeps copies: a buffer changed later changes nothing, be it a Node buffer or a piece of one", async (store) => {
    const whole = bytes(1, 2, 3, 4);
    const node = Buffer.from([5, 6]);
    const [old, fresh] = [bytes(7), bytes(8)];
    const writing = [
      store.set("piece", whole.subarray(1, 3)),
      store.set("node", node),
      store.set("compared", old.slice()),
      store.compareAndSet("compared", old, fresh),
    ];
    for (const buffer of [whole, node, old, fresh]) buffer.fill(0);
    assertEquals((await Promise.all(writing)).at(-1), true);
    const taken = await store.get("piece");
    assertEquals(taken, bytes(2, 3));
    taken?.fill(9);
    for await (const [, value] of store.list("")) value.fill(9);
    assertEquals(await entries(store, ""), [["compared", [8]], ["node", [5, 6]], ["piece", [2, 3]]]);
  });

  test("compareAndSet() changes only what the caller knows, and tells whether it did", async (store) => {
    assertEquals(await store.compareAndSet("a", bytes(), bytes(1)), false);
    assertEquals(await store.compareAndSet("a", undefined, bytes(1)), true);
    assertEquals(await store.compareAndSet("a", undefined, bytes(2)), false);
    assertEquals(await store.compareAndSet("a", bytes(1, 1), bytes(2)), false);
    assertEquals(await store.compareAndSet("a", bytes(2), bytes(3)), false);
    assertEquals(await store.get("a"), bytes(1));
    assertEquals(await store.compareAndSet("a", bytes(1), bytes()), true);
    assertEquals(await store.compareAndSet("a", undefined, undefined), false);
    assertEquals(await store.compareAndSet("a", bytes(), undefined), true);
    assertEquals(await store.compareAndSet("a", undefined, undefined), true);
    assertEquals(await entries(store, ""), []);
  });

  test("of many who claim the same at once one succeeds", async (store) => {
    const claims = Array.from({ length: 20 }, (_, n) => store.compareAndSet("owner", undefined, bytes(n)));
    const done = await Promise.all(claims);
    assertEquals(done.filter((one) => one).length, 1);
    assertEquals(await store.get("owner"), bytes(done.indexOf(true)));
  });

  test("a value may be of several megabytes", async (store) => {
    const value = new Uint8Array(8 * 1024 * 1024).map((_, n) => n % 251);
    await store.set("large", value);
    assertEquals(await store.get("large"), value);
  });

  test("after disposal, which may happen twice, everything says that the store is closed", async (store) => {
    await store.set("a", bytes(1));
    const listing = store.list("")[Symbol.asyncIterator]();
    const last = store.set("a", bytes(2));
    const closing = store[Symbol.asyncDispose]();
    await Promise.all([last, closing, store[Symbol.asyncDispose]()]);
    const calls = [
      () => store.get("a"),
      () => store.set("a", bytes(1)),
      () => store.delete("a"),
      () => store.compareAndSet("a", undefined, bytes(1)),
      () => listing.next(),
    ];
    for (const call of calls) {
      const error = await assertRejects(call, HoldfastError, "Cannot use the store: it is closed");
      assertEquals(error.code, "closed");
    }
  });
}

Deno.test("a file keeps everything from one opening to the next, and nothing else is left", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/store.db`;
  const before = Deno.build.os === "linux" ? descriptorsOf().length : 0;
  for (let n = 0; n < 3; n++) {
    await using store = await sqliteStore(path);
    assertEquals((await entries(store, "")).length, n);
    await store.set(`${n}`, bytes(n));
    if (Deno.build.os !== "windows") {
      for (const name of folder.files()) {
        assertEquals((Deno.statSync(`${folder.path}/${name}`).mode ?? 0) & 0o777, 0o600, name);
      }
      assertEquals(folder.files(), ["store.db", "store.db-shm", "store.db-wal"]);
    }
  }
  assertEquals(folder.files(), ["store.db"]);
  if (Deno.build.os === "linux") assertEquals(descriptorsOf().length, before);
});

Deno.test("odd paths are files all the same, and none is refused", async () => {
  await using folder = await inFolder();
  const code = `import { sqliteStore } from "${new URL("../internal/store_sqlite.ts", import.meta.url)}";
    for (const path of [":memory:", "file:x?mode=memory", "a b#c%20"]) {
      await using store = await sqliteStore(path);
      await store.set("a", new Uint8Array([1]));
    }`;
  const run = await runCode(
    `Deno.chdir(${JSON.stringify(folder.path)});\nawait import("data:text/typescript," + encodeURIComponent(${
      JSON.stringify(code)
    }));`,
  );
  assertEquals([run.code, run.stderr], [0, ""]);
  assertEquals(folder.files(), [":memory:", "a b#c%20", "file:x?mode=memory"]);
  await assertRejects(() => sqliteStore(""), TypeError, 'got ""');
});

Deno.test("a file that is damaged gives a clear error, and stays as it is", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/store.db`;
  const write = (data: Uint8Array): void => Deno.writeFileSync(path, data, { mode: 0o600 });
  {
    await using store = await sqliteStore(path);
    for (let n = 0; n < 50; n++) await store.set(`key ${n}`, new Uint8Array(1000).fill(n));
  }
  const whole = Deno.readFileSync(path);
  const noise = crypto.getRandomValues(new Uint8Array(20_000));
  const inside = whole.slice();
  // Behind the first page, whose header is all that is read at first.
  inside.fill(0xa5, 4096);
  for (const broken of [noise, inside, whole.slice(0, 5000)]) {
    write(broken);
    const error = await assertRejects(async () => {
      await using store = await sqliteStore(path);
      await entries(store, "");
    }, HoldfastError);
    assertEquals([error.code, error.hint], [
      "store-corrupt",
      "Move the file away, or put a copy that is whole in its place",
    ]);
    assertStringIncludes(error.message, "the file is damaged (");
    assertStringIncludes(error.message, path);
  }
  write(noise);
  await assertRejects(() => sqliteStore(path), HoldfastError);
  assertEquals(Deno.readFileSync(path), noise);
});

Deno.test("the file of another program, and of a later version, is left alone", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/other.db`;
  for (const sql of ["CREATE TABLE theirs (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"]) {
    using other = new DatabaseSync(path);
    other.exec(sql);
    other.close();
    Deno.chmodSync(path, 0o600);
    const before = Deno.readFileSync(path);
    const error = await assertRejects(() => sqliteStore(path), HoldfastError);
    assertEquals(error.code, "store-foreign");
    assertStringIncludes(error.message, "a database of another program");
    assertEquals(Deno.readFileSync(path), before);
    Deno.removeSync(path);
  }
  await (await sqliteStore(path))[Symbol.asyncDispose]();
  {
    using later = new DatabaseSync(path);
    later.exec("PRAGMA user_version = 2");
  }
  await assertRejects(
    () => sqliteStore(path),
    HoldfastError,
    "it is of version 2, and version 1 is known here",
  );
});

Deno.test({
  name: "a file that others may read is refused, and one whose folder is missing named",
  ...requires({ os: ["linux", "darwin"] }),
  async fn() {
    await using folder = await inFolder();
    const path = `${folder.path}/store.db`;
    await (await sqliteStore(path))[Symbol.asyncDispose]();
    await Deno.chmod(path, 0o640);
    const exposed = await assertRejects(() => sqliteStore(path), HoldfastError, "its mode is 640");
    assertEquals([exposed.code, exposed.hint], ["store-exposed", `chmod 600 ${path}`]);
    const missing = await assertRejects(() => sqliteStore(`${folder.path}/no/store.db`), HoldfastError);
    assertEquals(missing.code, "store-failed");
    assert(missing.cause instanceof Deno.errors.NotFound);
  },
});

Deno.test("a file that another process keeps locked is waited for, but not for ever", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/store.db`;
  const clock = new FakeClock();
  using _hold = holdProcess();
  await using store = await sqliteStore(path, { lockTimeout: 1000, clock });
  await using reader = await sqliteStore(path);
  using other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const failing = assertRejects(() => store.set("a", bytes(1)), HoldfastError, "database is locked");
  // Who only reads need not wait.
  assertEquals(await entries(reader, ""), []);
  await eventually("the store to give up", async () => {
    await clock.tickAsync(50);
    return clock.monotonic() >= 1000 && clock.pending === 0;
  });
  assertEquals((await failing).code, "store-busy");
  other.exec("ROLLBACK");
  await store.set("a", bytes(2));
  assertEquals(await store.get("a"), bytes(2));
});

Deno.test("two processes at one file: every change of both is made, one after the other", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/store.db`;
  const rounds = scale(50, 1000);
  const code = `
    import { sqliteStore } from "#/internal/store_sqlite.ts";
    await using store = await sqliteStore(${
    JSON.stringify(path)
  }, { durability: "process", lockTimeout: 20_000 });
    let missed = 0;
    for (let n = 0; n < ${rounds};) {
      const old = await store.get("count");
      const next = new Uint8Array(new Uint32Array([(old ? new Uint32Array(old.buffer)[0] : 0) + 1]).buffer);
      if (await store.compareAndSet("count", old, next)) n++;
      else missed++;
      await store.set(\`\${Deno.pid}/\${n}\`, next);
    }
    console.log(missed);`;
  const results = await Promise.all([runCode(code), runCode(code), runCode(code)]);
  for (const { code, stderr } of results) assertEquals([code, stderr], [0, ""]);
  await using store = await sqliteStore(path);
  assertEquals(
    new Uint32Array((await store.get("count"))?.slice().buffer ?? new ArrayBuffer(4))[0],
    3 * rounds,
  );
});

Deno.test({
  name: "a process that is killed while it writes has lost nothing of what it was told is kept",
  ...linux,
  async fn() {
    await using folder = await inFolder();
    const path = `${folder.path}/store.db`;
    const code = `
      import { sqliteStore } from "#/internal/store_sqlite.ts";
      const store = await sqliteStore(${JSON.stringify(path)}, { durability: "process" });
      for (let n = 0;; n++) {
        const value = new Uint8Array(50_000).fill(n);
        const pair = [store.set(\`\${Deno.pid}/\${n}/a\`, value), store.set(\`\${Deno.pid}/\${n}/b\`, value)];
        await Promise.all(pair);
        Deno.stdout.writeSync(new TextEncoder().encode(\`kept \${n}.\\n\`));
      }`;
    for (let round = 0; round < scale(4, 40); round++) {
      await using running = startCode(code);
      await running.said(`kept ${5 + 7 * round}.`);
      running.kill("SIGKILL");
      const { stdout } = await running.result;
      const kept = [...stdout.matchAll(/kept (\d+)\./g)].map(([, n]) => Number(n));
      await using store = await sqliteStore(path);
      const found = await entries(store, `${running.pid}/`);
      for (const n of kept) {
        for (const half of ["a", "b"]) {
          const [, value] = found.find(([key]) => key === `${running.pid}/${n}/${half}`) ?? [];
          assert(value?.length === 50_000 && value.every((byte) => byte === n % 256), `${n}/${half} is lost`);
        }
      }
      // What was on its way is there as a whole or not at all.
      assertEquals(found.length % 2, 0);
      for (const [key] of found) await store.delete(key);
    }
  },
});

Deno.test("a store needs to read and write its own file and nothing else, and names the flags", async () => {
  await using folder = await inFolder();
  const path = `${folder.path}/store.db`;
  const code = `
    import { sqliteStore } from "#/internal/store_sqlite.ts";
    try {
      await using store = await sqliteStore(${JSON.stringify(path)});
      await store.set("a", new Uint8Array([1]));
      console.log((await store.get("a"))[0]);
    } catch (error) {
      console.log(error.name, JSON.stringify(error.flags));
    }`;
  const flags = [`--allow-read=${path}`, `--allow-write=${path}`];
  const allowed = await runCode(code, { flags: ["--no-prompt", ...flags] });
  assertEquals([allowed.stdout, allowed.stderr], ["1\n", ""]);
  for (const some of [flags.slice(0, 1), flags.slice(1), []]) {
    const { stdout } = await runCode(code, { flags: ["--no-prompt", ...some] });
    assertEquals(stdout, `${PermissionError.name} ${JSON.stringify(flags)}\n`);
  }
});

Deno.test("who opens a store with a signal that is aborted gets its reason, and no file", async () => {
  await using folder = await inFolder();
  const signal = AbortSignal.abort(new RangeError("enough"));
  await assertRejects(() => sqliteStore(`${folder.path}/store.db`, { signal }), RangeError, "enough");
  assertEquals(folder.files(), []);
});

Deno.test("SQLite is not in the graph of those who do not ask for it", async () => {
  const graph = async (entry: string): Promise<string> => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", new URL(`../${entry}`, import.meta.url).href],
    }).output();
    return new TextDecoder().decode(stdout);
  };
  assertStringIncludes(await graph("internal/store_sqlite.ts"), "node:sqlite");
  for (const entry of ["internal/store.ts", "mod.ts"]) {
    assert(!(await graph(entry)).includes("node:sqlite"), entry);
  }
});
