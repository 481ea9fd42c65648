import { assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../../internal/errors.ts";
import { runCode } from "../../tests/_code.ts";
import { readKeyFile, readPublicKeysFile, writeKeyFile, writePublicKeysFile } from "./key_file.ts";
import { formatKey, makeKeyPair, makeSharedKey } from "./key_text.ts";

const unix = { ignore: Deno.build.os === "windows" };

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "holdfast-keys-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("a key is written for its owner alone, and read again", async () => {
  await using at = await folder();
  for (
    const [name, key] of [["shared", makeSharedKey()], ["pair", makeKeyPair({ comment: "me" })]] as const
  ) {
    const path = `${at.path}/${name}`;
    await writeKeyFile(path, key);
    if (!unix.ignore) assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assertEquals(formatKey(await readKeyFile(path)), formatKey(key));
  }
});

Deno.test("a key file that is there is never overwritten", async () => {
  await using at = await folder();
  const path = `${at.path}/key`;
  await writeKeyFile(path, makeSharedKey());
  const before = await Deno.readTextFile(path);
  const error = await assertRejects(() => writeKeyFile(path, makeSharedKey()), HoldfastError);
  assertEquals(error.code, "key-file");
  assertEquals(error.message, `Cannot write the key file "${path}": it is there already and would be lost`);
  assertEquals(await Deno.readTextFile(path), before);
});

Deno.test({
  name: "a key file that others can read or change is refused, with the command that helps",
  ...unix,
  async fn() {
    await using at = await folder();
    const path = `${at.path}/key`;
    await writeKeyFile(path, makeSharedKey());
    for (const mode of [0o640, 0o604, 0o620, 0o601]) {
      await Deno.chmod(path, mode);
      const error = await assertRejects(() => readKeyFile(path), HoldfastError);
      assertEquals(
        error.message,
        `Cannot read the key file "${path}": others can read or change it ` +
          `(its mode is ${mode.toString(8)}), run: chmod 600 ${path}`,
      );
      assertEquals(error.hint, `Run: chmod 600 ${path}`);
    }
    await Deno.chmod(path, 0o400);
    assertEquals((await readKeyFile(path)).type, "shared");
  },
});

Deno.test("a list of public keys may be read by all, and changed by its owner only", async () => {
  await using at = await folder();
  const path = `${at.path}/authorized`;
  const pairs = [makeKeyPair({ comment: "anna" }), makeKeyPair({ comment: "bert" })];
  await writePublicKeysFile(path, pairs);
  const fingerprints = pairs.map((pair) => pair.fingerprint);
  assertEquals((await readPublicKeysFile(path)).map((key) => key.fingerprint), fingerprints);
  if (unix.ignore) return;
  await Deno.chmod(path, 0o664);
  await assertRejects(
    () => readPublicKeysFile(path),
    HoldfastError,
    "others can change it (its mode is 664)",
  );
});

Deno.test("what is no key file is refused, and the message shows nothing of it", async () => {
  await using at = await folder();
  const path = `${at.path}/key`;
  await assertRejects(() => readKeyFile(path), HoldfastError, "there is no such file");
  await assertRejects(
    () => writeKeyFile(`${at.path}/no/key`, makeSharedKey()),
    HoldfastError,
    "there is no such folder",
  );
  await Deno.writeTextFile(path, "hunter2\n", { mode: 0o600 });
  const error = await assertRejects(() => readKeyFile(path), HoldfastError);
  assertEquals(error.code, "key-file");
  assertEquals(`${error.message}${error.stack}${Deno.inspect(error)}`.includes("hunter2"), false);
  await Deno.writeTextFile(path, "# empty\n");
  await assertRejects(() => readKeyFile(path), HoldfastError, `"${path}": there is none`);
  await Deno.writeFile(path, new Uint8Array(1024 * 1024 + 1));
  await assertRejects(() => readKeyFile(path), HoldfastError, "it has more than 1048576 bytes");
});

Deno.test("without the permission it says which flag is missing", async () => {
  const code = `
    import { readKeyFile, writeKeyFile } from "#/pipes/resume/key_file.ts";
    import { makeSharedKey } from "#/pipes/resume/key_text.ts";
    for (const attempt of [() => readKeyFile("k"), () => writeKeyFile("k", makeSharedKey())]) {
      await attempt().catch((error) => console.log(error.name, error.flags.join()));
    }`;
  const { stdout } = await runCode(code, { flags: ["--no-prompt"] });
  assertEquals(stdout, "PermissionError --allow-read=k\nPermissionError --allow-write=k\n");
});
